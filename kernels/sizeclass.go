package kernels

import "math/bits"

// SizeClasses is how many classes of sizes there are.
const SizeClasses = 64 * ClassesPerOctave

// ClassesPerOctave is how many classes lie between a size and twice as much.
const ClassesPerOctave = 8

// SizeClass is the index of the smallest class of buffers that holds n bytes, and
// its size; of classes that are multiples of least, a power of two. An arena that
// keeps buffers by class wastes little and finds them again: neighbouring sizes
// differ by a sixteenth to an eighth.
func SizeClass(n, least int) (index, size int) {
	n = max(n, least*ClassesPerOctave)
	octave := bits.Len(uint(n-1)) - 1 // 2^octave < n <= 2^(octave+1)
	step := 1 << octave / ClassesPerOctave
	i := (n - 1<<octave + step - 1) / step
	return octave*ClassesPerOctave + i, 1<<octave + i*step
}
