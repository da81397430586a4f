//go:build cuda

package cuda

import (
	"sync"

	"optin/kernels"
)

// ranges are the smallest and largest of the integers in device memory, as far as they were
// seen on their way there: what the checks of indices need, without asking the device.
type ranges struct {
	mu sync.Mutex
	at map[uintptr]span // by where a tensor begins
}

type span struct {
	bytes     uintptr
	low, high int32
}

// spanOf is what the values span; there is at least one.
func spanOf(values []int32) span {
	s := span{uintptr(4 * len(values)), values[0], values[0]}
	for _, v := range values {
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
	return s
}

// set says what lies at an address.
func (r *ranges) set(at uintptr, s span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = make(map[uintptr]span)
	}
	for other, o := range r.at { // what this writes over
		if other < at+s.bytes && at < other+o.bytes {
			delete(r.at, other)
		}
	}
	r.at[at] = s
}

// of is what the integers of t span, if that is known. Those of its first rows alone may
// span less.
func (r *ranges) of(t *kernels.Tensor) (s span, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, known = r.at[t.Device]
	return s, known && s.bytes >= uintptr(4*t.Len())
}

// forget is for memory that comes back.
func (r *ranges) forget(at uintptr) {
	r.mu.Lock()
	delete(r.at, at)
	r.mu.Unlock()
}

// copied makes dst span what src does.
func (o *ops) copied(dst, src *kernels.Tensor) {
	if dst.Len() == 0 {
		return
	}
	s, known := o.dev.ranges.of(src)
	if !known {
		s = spanOf(o.ints(src))
	}
	s.bytes = uintptr(4 * dst.Len())
	o.dev.ranges.set(dst.Device, s)
}

// ints waits for the integers of t.
func (o *ops) ints(t *kernels.Tensor) []int32 {
	wide := make([]float64, t.Len())
	o.Download(t, wide)
	values := make([]int32, len(wide))
	for i, v := range wide {
		values[i] = int32(v)
	}
	return values
}

// checkIndices panics where an index is not in [from, to). It asks the device only where the
// range of idx is not known, or is that of more rows than idx has.
func (o *ops) checkIndices(op string, idx *kernels.Tensor, from, to int) {
	if idx.Len() == 0 {
		return
	}
	s, known := o.dev.ranges.of(idx)
	if known && int(s.low) >= from && int(s.high) < to {
		return
	}
	values := o.ints(idx)
	kernels.CheckIndices(op, values, from, to)
	if !known {
		o.dev.ranges.set(idx.Device, spanOf(values))
	}
}
