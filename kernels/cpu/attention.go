//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"optin/kernels"
)

// Attention skips heads whose mask is 0, though their products are tallied.
func (o *ops) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	variants := kernels.CheckAttention(q, k, v, spec)
	y := o.real(q.Rows, q.Cols)
	o.tally.MACs += kernels.AttentionMACs(q, spec)
	if y.Len() == 0 {
		return y
	}
	mark := o.Mark()
	scratch := o.real(o.threads, int(C.optin_cpu_attention_scratch(o.isa, C.size_t(spec.K.Max), C.size_t(q.Cols/spec.Heads))))
	o.describe(q, k, v, spec, variants, scratch)
	C.optin_cpu_attention_f32(o.isa, floats(y), o.spec, offsets(spec.Q), offsets(spec.K))
	o.Release(mark)
	return y
}

func (o *ops) AttentionBackward(dy, q, k, v *kernels.Tensor, spec kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	variants, stack := kernels.CheckAttentionBackward(dy, q, k, v, spec)
	o.tally.MACs += kernels.AttentionBackwardMACs(q, spec, stack)
	dq, dk, dv = o.real(dy.Rows, q.Cols), o.real(stack*k.Rows, k.Cols), o.real(stack*k.Rows, k.Cols)
	if q.Cols == 0 || variants == 0 {
		return dq, dk, dv
	}
	mark := o.Mark()
	scratch := o.real(o.threads, int(C.optin_cpu_attention_backward_scratch(o.isa, C.size_t(spec.K.Max),
		C.size_t(q.Cols/spec.Heads), C.size_t(stack))))
	o.describe(q, k, v, spec, variants, scratch)
	slopes := C.optin_cpu_attention_slopes{dy: floats(dy), dq: floats(dq), dk: floats(dk), dv: floats(dv), stack: C.size_t(stack)}
	C.optin_cpu_attention_backward_f32(o.isa, slopes, o.spec, offsets(spec.Q), offsets(spec.K))
	o.Release(mark)
	return dq, dk, dv
}

// describe sets the arguments that attention and its gradients have in common.
func (o *ops) describe(q, k, v *kernels.Tensor, spec kernels.AttentionSpec, variants int, scratch *kernels.Tensor) {
	*o.spec = C.optin_cpu_attention{
		q:         floats(q),
		k:         floats(k),
		v:         floats(v),
		head_mask: floats(spec.HeadMask),
		bias:      floats(spec.Bias),
		key_bias:  floats(spec.KeyBias),
		variants:  C.size_t(variants),
		sequences: C.size_t(spec.Q.Count()),
		heads:     C.size_t(spec.Heads),
		head_size: C.size_t(q.Cols / spec.Heads),
		q_rows:    C.size_t(spec.Q.Rows()),
		k_rows:    C.size_t(spec.K.Rows()),
		q_max:     C.size_t(spec.Q.Max),
		k_max:     C.size_t(spec.K.Max),
		scale:     C.float(spec.Scale),
		scratch:   floats(scratch),
		threads:   C.int(o.threads),
	}
	if spec.HeadMask != nil {
		o.spec.mask_rows = C.size_t(spec.HeadMask.Rows)
	}
	if spec.KeyBias != nil {
		o.spec.bias_rows = C.size_t(spec.KeyBias.Rows)
	}
	if spec.Causal {
		o.spec.causal = 1
	}
}

// offsets is Go's memory, which C does not keep.
func offsets(s *kernels.Sequences) *C.int32_t {
	return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(s.Offsets)))
}
