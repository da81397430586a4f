package checkpoint

// view is a strided window on a run of elements: element (i, j, ...) of the tensor is run[i*stride[0] + j*stride[1] + ...].
type view struct {
	shape  []int
	stride []int
}

// contiguous reports whether the window is the run itself in row-major order.
func (v view) contiguous() bool {
	want := 1
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.stride[i] != want {
			return false
		}
		want *= v.shape[i]
	}
	return true
}

// span returns the number of elements from the window's first to its last, and false when that overflows.
// The window must not be empty.
func (v view) span() (int, bool) {
	last := 0
	for i, d := range v.shape {
		reach, ok := elements([]int{d - 1, v.stride[i]})
		if !ok || last+reach < last {
			return 0, false
		}
		last += reach
	}
	return last + 1, last+1 > 0
}

// gather copies the window's elements to dst in row-major order.
func (v view) gather(dst, run []float32) {
	index := make([]int, len(v.shape))
	at := 0
	for i := range dst {
		dst[i] = run[at]
		for k := len(index) - 1; k >= 0; k-- {
			index[k]++
			at += v.stride[k]
			if index[k] < v.shape[k] {
				break
			}
			at -= index[k] * v.stride[k]
			index[k] = 0
		}
	}
}
