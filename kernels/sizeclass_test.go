package kernels

import "testing"

// TestSizeClass: a class holds what it is asked for, wastes at most an eighth beyond
// the least size, is aligned, and indices rise with sizes.
func TestSizeClass(t *testing.T) {
	const least = 64
	last, lastSize := -1, 0
	for n := range 1 << 16 {
		index, size := SizeClass(n, least)
		if size < n || size%least != 0 || (n > least*ClassesPerOctave && 8*(size-n) > n) {
			t.Fatalf("%d bytes: class %d of %d", n, index, size)
		}
		if again, same := SizeClass(size, least); again != index || same != size {
			t.Fatalf("class %d of %d bytes holds %d in class %d", index, size, same, again)
		}
		if index < last || (index == last) != (size == lastSize) {
			t.Fatalf("%d bytes: class %d of %d after class %d of %d", n, index, size, last, lastSize)
		}
		last, lastSize = index, size
	}
	if index, _ := SizeClass(1<<62, least); index >= SizeClasses {
		t.Errorf("class %d of %d", index, SizeClasses)
	}
}
