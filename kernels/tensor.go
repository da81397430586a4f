package kernels

import (
	"errors"
	"fmt"
)

// DType is the type of a tensor's elements as a model sees them. How an
// interpreter stores them is its own affair (ref stores F32 in float64).
type DType uint8

const (
	F32 DType = iota // activations, masks, scores
	I32              // token ids, row indices
	F64              // accumulators of losses
)

func (t DType) String() string { return [...]string{"f32", "i32", "f64"}[t] }

// Tensor is a row-major matrix [Rows, Cols]. Exactly one of the storage fields
// is set, by the interpreter that made it; only that interpreter reads it.
type Tensor struct {
	Rows, Cols int
	Type       DType

	F32    []float32 // host storage of float32 interpreters
	F64    []float64 // host storage of ref, and of F64 accumulators everywhere
	I32    []int32   // host storage of integers
	Device uintptr   // address in device memory
}

// Len is the number of elements.
func (t *Tensor) Len() int { return t.Rows * t.Cols }

func (t *Tensor) String() string { return fmt.Sprintf("%v[%d, %d]", t.Type, t.Rows, t.Cols) }

// readHost copies t's elements to dst where they are in host memory.
func (t *Tensor) readHost(dst []float32) error {
	switch {
	case t.F32 != nil:
		copy(dst, t.F32)
	case t.F64 != nil:
		for i, v := range t.F64 {
			dst[i] = float32(v)
		}
	case t.Len() > 0:
		return errors.New("its values are in device memory: download them")
	}
	return nil
}

// Slice is the view of rows [from, to) of t. It is valid as long as t is and is
// returned by value so that taking one does not allocate.
func (t *Tensor) Slice(from, to int) Tensor {
	if from < 0 || to < from || to > t.Rows {
		panic(fmt.Sprintf("kernels: rows [%d, %d) of %v", from, to, t))
	}
	v := Tensor{Rows: to - from, Cols: t.Cols, Type: t.Type}
	lo, hi := from*t.Cols, to*t.Cols
	switch {
	case t.F32 != nil:
		v.F32 = t.F32[lo:hi:hi]
	case t.F64 != nil:
		v.F64 = t.F64[lo:hi:hi]
	case t.I32 != nil:
		v.I32 = t.I32[lo:hi:hi]
	case t.Device != 0:
		v.Device = t.Device + uintptr(lo)*t.Type.size()
	}
	return v
}

// size is the number of bytes of an element in device memory.
func (t DType) size() uintptr {
	if t == F64 {
		return 8
	}
	return 4
}

// Sequences says how N packed rows fall into B sequences: sequence b is rows
// Offsets[b] to Offsets[b+1]. It is immutable and shared by all layers.
type Sequences struct {
	Offsets []int32 // B+1, ascending, from 0
	Max     int     // length of the longest
}

// NewSequences packs sequences of the given lengths (each at least 1).
func NewSequences(lengths ...int) *Sequences {
	s := &Sequences{Offsets: make([]int32, 1, len(lengths)+1)}
	total := 0
	for _, n := range lengths {
		if n < 1 {
			panic(fmt.Sprintf("kernels: a sequence of length %d", n))
		}
		total += n
		s.Offsets = append(s.Offsets, int32(total))
		s.Max = max(s.Max, n)
	}
	return s
}

// Count is the number of sequences.
func (s *Sequences) Count() int { return len(s.Offsets) - 1 }

// Rows is the number of packed rows of one variant.
func (s *Sequences) Rows() int { return int(s.Offsets[len(s.Offsets)-1]) }

// Len is the length of sequence b.
func (s *Sequences) Len(b int) int { return int(s.Offsets[b+1] - s.Offsets[b]) }

// Variants is the number of stacked copies of s in the given number of rows.
func (s *Sequences) Variants(rows int) int {
	n := s.Rows()
	if n == 0 || rows%n != 0 {
		panic(fmt.Sprintf("kernels: %d rows are not a whole number of batches of %d", rows, n))
	}
	return rows / n
}
