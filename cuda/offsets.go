//go:build cuda

package cuda

import (
	"errors"
	"unsafe"

	"optin/kernels"
)

// keptOffsets is how many Sequences a worker keeps on its device: a batch has one or two,
// which all its layers share.
const keptOffsets = 8

// offsets are those of the sequences that a worker used last, the last of all first.
type offsets struct {
	kept [keptOffsets]struct {
		of     *kernels.Sequences
		buffer *buffer
	}
}

// use moves the kept offsets with number i to the front.
func (s *offsets) use(i int) {
	k := s.kept[i]
	copy(s.kept[1:i+1], s.kept[:i])
	s.kept[0] = k
}

// offsetsOf is where the offsets of s lie, NULL where there is no s. It holds until
// keptOffsets others were asked for: for all sequences of one op.
func (o *ops) offsetsOf(s *kernels.Sequences) uint64 {
	if s == nil {
		return 0
	}
	k := &o.offsets.kept[0]
	for i := range o.offsets.kept {
		if o.offsets.kept[i].of == s {
			o.offsets.use(i)
			return uint64(k.buffer.base)
		}
	}
	o.offsets.use(keptOffsets - 1) // the one that was not used for longest
	bytes := 4 * len(s.Offsets)
	if k.buffer == nil || k.buffer.size < bytes {
		k.of = nil
		o.replace(&k.buffer, 2*bytes)
	}
	k.of = s
	o.staging.upload(uintptr(k.buffer.base), unsafe.Pointer(unsafe.SliceData(s.Offsets)), bytes)
	return uint64(k.buffer.base)
}

// replace puts a larger buffer in the place of *b, which may be nil.
func (o *ops) replace(b **buffer, bytes int) {
	if old := *b; old != nil {
		*b = nil
		o.dev.grow(-old.bytes)
		o.dev.note(old.free())
	}
	fresh, err := o.arena.room(bytes, false)
	if err != nil {
		kernels.Fail(err)
	}
	o.dev.grow(fresh.bytes)
	*b = fresh
}

func (s *offsets) free(m *memory) error {
	var err error
	for i := range s.kept {
		if b := s.kept[i].buffer; b != nil {
			m.grow(-b.bytes)
			err = errors.Join(err, b.free())
		}
	}
	return err
}
