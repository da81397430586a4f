package grad

import (
	"fmt"

	"optin/kernels"
)

// Tape is a kernels.Ops that runs every op on its base at once and records it.
// It belongs to the worker of its base.
//
// What is computed on a tape lives until [Tape.Reset], since Pull may need it:
// Mark and Release do nothing, so that model code runs unchanged. In a steady
// state, recordings of one shape, a tape allocates no Go memory of its own.
//
// Values are those of the base up to rounding. A form that is fused on the base
// is split where a derivative needs what lies between: the activation, mask and
// head mask of Linear and Attention are ops of their own.
type Tape struct {
	base  kernels.Backward
	begun bool         // something was taken from the base since Reset
	mark  kernels.Mark // where the base's arena stood then

	nodes  []node
	values []value
	slots  map[*kernels.Tensor]slot // the present value at an address

	views []*kernels.Tensor // headers of results that share the storage of an argument
	used  int               // how many of them this recording has
	ones  []float32
	zeros []float32

	pulling
}

// slot names a value of the recording.
type slot int32

// none is the slot of an argument that is left out.
const none slot = -1

// value is what a tensor held between two changes.
type value struct {
	tensor *kernels.Tensor // nil: freed, no derivative needs it
	rows   int
	ones   bool // made by Mask: multiplying by it changes nothing
	gone   bool // overwritten since
}

// node is one recorded op.
type node struct {
	rule *rule
	args [maxArgs]slot // tensors that gradients may flow to, or none
	old  slot          // what the op added to, which gradients reach unchanged
	y    slot

	weights [2]*kernels.Weight
	aux     *kernels.Tensor // act'(x), row indices or units
	spec    kernels.AttentionSpec
	patches kernels.PatchSpec
	number  float64 // eps or tau
	count   int     // span, rows or width
	flip    bool    // transpose

	active bool               // in the present Pull: leads to something wanted
	sums   [2]*kernels.Tensor // in the present Pull: accumulators of the weights' gradients
}

// maxArgs is the most tensors that one op takes: Attention's q, k, v and biases.
const maxArgs = 5

// New returns a tape over ops, whose interpreter it shares. It fails if ops have
// no derivatives.
func New(ops kernels.Ops) (*Tape, error) {
	base, ok := ops.(kernels.Backward)
	if !ok {
		return nil, fmt.Errorf("gradients: %T computes no derivatives: use a device that does, such as cpu", ops)
	}
	return &Tape{base: base, slots: make(map[*kernels.Tensor]slot)}, nil
}

// Reset forgets the recording and gives back what has been taken from the base
// since the first op, Mask or tensor of it, be it through the tape or beside
// it: what shall outlive a recording is taken before. Reset before the base
// itself is released.
func (t *Tape) Reset() {
	if t.begun {
		t.base.Release(t.mark)
	}
	t.begun = false
	clear(t.nodes)
	clear(t.values)
	clear(t.slots)
	t.nodes, t.values, t.used = t.nodes[:0], t.values[:0], 0
}

// begin notes where the recording starts in the base's arena.
func (t *Tape) begin() kernels.Backward {
	if !t.begun {
		t.begun, t.mark = true, t.base.Mark()
	}
	return t.base
}

// Mask is a mask [1, units] of ones. Multiplying by it is not computed, but a
// Pull may ask for its gradient. It lives until Reset.
func (t *Tape) Mask(units int) *kernels.Tensor {
	for len(t.ones) < units {
		t.ones = append(t.ones, 1)
	}
	mask := t.begin().Upload(1, units, t.ones[:units])
	t.values[t.fresh(mask)].ones = true
	return mask
}

// slot is the value of x, which becomes a constant of the recording if no op
// has seen it; none for nil.
func (t *Tape) slot(x *kernels.Tensor) slot {
	if x == nil {
		return none
	}
	if s, ok := t.slots[x]; ok {
		return s
	}
	return t.fresh(x)
}

// fresh is a new value at the address of x.
func (t *Tape) fresh(x *kernels.Tensor) slot {
	s := slot(len(t.values))
	t.values = append(t.values, value{tensor: x, rows: x.Rows})
	t.slots[x] = s
	return s
}

// forget takes from the recording the tensor, not the value, of x, which is
// about to be freed: its address will be another tensor's.
func (t *Tape) forget(x *kernels.Tensor) {
	t.values[t.slots[x]].tensor = nil
	delete(t.slots, x)
}

// record notes that y was computed from args, in the order the rule knows them
// by. The node is valid until the next one is recorded.
func (t *Tape) record(r *rule, y *kernels.Tensor, args ...*kernels.Tensor) *node {
	n := node{rule: r, old: none}
	for i := range n.args {
		n.args[i] = none
		if i < len(args) {
			n.args[i] = t.slot(args[i])
		}
	}
	n.y = t.fresh(y)
	t.nodes = append(t.nodes, n)
	return &t.nodes[len(t.nodes)-1]
}

// recordChange notes that dst was changed in place; adds says that it kept what
// it held before.
func (t *Tape) recordChange(r *rule, adds bool, dst *kernels.Tensor, args ...*kernels.Tensor) *node {
	old := t.slot(dst)
	t.values[old].gone = true
	n := t.record(r, dst, args...)
	if adds {
		n.old = old
	}
	return n
}

// tensor is argument i of n.
func (t *Tape) tensor(n *node, i int) *kernels.Tensor {
	if n.args[i] == none {
		return nil
	}
	return t.values[n.args[i]].tensor
}

// view is x under an address of its own, until Reset.
func (t *Tape) view(x *kernels.Tensor) *kernels.Tensor {
	if t.used == len(t.views) {
		t.views = append(t.views, new(kernels.Tensor))
	}
	v := t.views[t.used]
	t.used++
	*v = *x
	return v
}
