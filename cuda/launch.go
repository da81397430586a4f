//go:build cuda

package cuda

import (
	"fmt"
	"math"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

// size is that of a grid in blocks or of a block in threads; 0 stands for 1 in y and z.
type size struct{ x, y, z int }

// maxArguments is more than any kernel takes.
const maxArguments = 32

// launcher starts kernels of one worker.
type launcher struct {
	gpu       *gpu
	stream    cu.Stream
	functions map[string]cu.Function
	last      string                       // kernel that was launched
	values    [maxArguments]uint64         // of a launch's arguments
	addresses [maxArguments]unsafe.Pointer // of these
}

func newLauncher(g *gpu, stream cu.Stream) *launcher {
	l := &launcher{gpu: g, stream: stream, functions: make(map[string]cu.Function)}
	for i := range l.values {
		l.addresses[i] = unsafe.Pointer(&l.values[i])
	}
	return l
}

// launch starts a kernel; an empty grid is no launch. Each argument fills 8 bytes, of which
// the kernel takes as many as it needs: see address, number, long, real and double.
func (l *launcher) launch(name string, grid, block size, arguments ...uint64) {
	l.launchWith(0, name, grid, block, arguments...)
}

// launchWith is launch for a kernel that takes so many bytes of dynamic shared memory.
func (l *launcher) launchWith(shared int, name string, grid, block size, arguments ...uint64) {
	grid.y, grid.z = max(grid.y, 1), max(grid.z, 1)
	if grid.x == 0 {
		return
	}
	f, ok := l.functions[name]
	if !ok {
		var err error
		if f, err = l.gpu.function(name); err == nil && shared > 0 {
			err = allowShared(f, shared)
		}
		if err != nil {
			kernels.Fail(err)
		}
		l.functions[name] = f
	}
	if grid.x > math.MaxInt32 || grid.y > maxGridY || grid.z > maxGridY {
		kernels.Fail(fmt.Errorf("cuda: %s: %d x %d x %d blocks are more than a device takes: use smaller batches", name, grid.x, grid.y, grid.z))
	}
	copy(l.values[:], arguments)
	err := f.Launch(grid.x, grid.y, grid.z, block.x, max(block.y, 1), max(block.z, 1), shared, l.stream, l.addresses[:len(arguments)])
	if err != nil {
		kernels.Fail(failure("cuLaunchKernel of "+name, err))
	}
	l.last = name
}

// maxGridY is the most blocks of a grid in y, and in z.
const maxGridY = 65535

// address is where t lies, NULL where there is no t.
func address(t *kernels.Tensor) uint64 {
	if t == nil {
		return 0
	}
	return uint64(t.Device)
}

// number is an int of C.
func number(n int) uint64 {
	if n > math.MaxInt32 {
		kernels.Fail(fmt.Errorf("cuda: a dimension of %d: kernels take up to 2^31-1", n))
	}
	return uint64(n)
}

// long is a long long of C.
func long(n int) uint64 { return uint64(n) }

// real is a float of C.
func real(x float64) uint64 { return uint64(math.Float32bits(float32(x))) }

// double is a double of C.
func double(x float64) uint64 { return math.Float64bits(x) }

// ceil is n/d, rounded up.
func ceil(n, d int) int { return (n + d - 1) / d }

// Blocks of kernels that have no shape of their own.
const (
	flatBlock = 256  // threads
	flatPart  = 1024 // elements that a block takes at a time
	maxFlat   = 1 << 20
)

// flat launches a kernel over n elements.
func (l *launcher) flat(name string, n int, arguments ...uint64) {
	l.launch(name, size{x: min(ceil(n, flatPart), maxFlat)}, size{x: flatBlock}, arguments...)
}

// table launches a kernel over rows of columns.
func (l *launcher) table(name string, rows, cols int, arguments ...uint64) {
	if rows == 0 {
		return
	}
	l.launch(name, size{x: min(ceil(cols, flatPart), maxFlat), y: min(rows, maxGridY)}, size{x: flatBlock}, arguments...)
}

// heldColumns is the longest row that a warp holds in registers.
const heldColumns = 1024

// teams launches a kernel that gives a row to a warp, or wide, which gives one to a block.
func (l *launcher) teams(held, wide string, rows, cols int, arguments ...uint64) {
	if cols <= heldColumns {
		l.launch(held, size{x: ceil(rows, 4)}, size{x: 128}, arguments...)
	} else {
		l.launch(wide, size{x: rows}, size{x: 512}, arguments...)
	}
}

// moves launches a kernel that moves rows by index, several in a block where they are short.
func (l *launcher) moves(name string, rows, cols int, arguments ...uint64) {
	across := 1
	for across < 32 && 4*across < cols {
		across *= 2
	}
	down := 256 / across
	l.launch(name, size{x: ceil(rows, down)}, size{x: across, y: down}, arguments...)
}
