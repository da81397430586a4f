package grad

import (
	"fmt"

	"optin/kernels"
)

// Pull is one vector-Jacobian product: gradients of some scalar to Results go
// in, its gradients to what Inputs, Masks and Weights ask for come out. Results,
// Inputs and masks are tensors that an op of the tape made or took.
//
// # Stacked gradients
//
// Gradients[i] may have R*n rows where its result has n, with one R for all: R
// gradients that are pulled back at once. Masks then see the first of them only
// and everything else the sum of all. They are added up as soon as no mask that
// is asked for lies upstream.
//
// The reason is METHOD section 3, "only k > l": the masks of block l may count
// in the trajectory of later blocks only. With [later; own] as the gradient at
// the output of block l, later being what comes from the blocks above and own
// what enters here, the masks see later, and the blocks below get both.
type Pull struct {
	Results, Gradients []*kernels.Tensor

	// The gradient to Inputs[i] is written over Into[i], which has its shape;
	// zero if nothing flows. Into is written last, so one of them may share
	// memory with Gradients.
	Inputs, Into []*kernels.Tensor

	Masks []MaskSum

	// Weights names the accumulator of w's gradient, of its shape [Rows, Cols],
	// which is added to; nil for a weight whose gradient is not wanted. A nil
	// func wants none. It is called for every use of a weight before anything
	// else happens, so it may make what it returns.
	Weights func(w *kernels.Weight) *kernels.Tensor
}

// MaskSum asks for the gradient to a mask: what Tape.Mask made, or any tensor
// that an op took as its mask.
type MaskSum struct {
	Mask *kernels.Tensor // [V, units]

	// Dst [V'*S, units] of type F32 or F64 is added to, S being the number of
	// segments. The rows that the mask multiplied are cut into V' equal parts,
	// usually V, and those of part v into segments: row v*S+s takes the sum over
	// segment s of part v. Where a part has several copies of the segments' rows
	// (variants), they add up.
	Dst *kernels.Tensor

	Segments *kernels.Sequences // examples; nil: all rows of a part in one
}

// flow is the state of a value during a Pull.
type flow struct {
	grad   *kernels.Tensor // nil: nothing has come so far
	wanted bool            // something that is asked for lies here or upstream
	masked bool            // a mask that is asked for lies upstream
	input  bool            // is asked for
	mask   bool            // is asked for, as a mask
}

// pulling is the state of a Pull, of which a tape keeps the memory.
type pulling struct {
	pull  Pull
	flows []flow            // per value
	live  []slot            // values with a gradient
	keep  []*kernels.Tensor // arguments of Release
	cuts  [3]kernels.Tensor // views for the length of a call
}

// Pull propagates gradients. What it takes from the base's arena it gives back,
// each gradient as soon as it has been used, and it computes only what leads to
// something wanted. It may be called many times on one recording.
func (t *Tape) Pull(p Pull) {
	t.pull = p
	t.want()
	mark := t.begin().Mark()
	t.enter()
	for i := len(t.nodes) - 1; i >= 0; i-- {
		n := &t.nodes[i]
		if dy := t.flows[n.y].grad; dy != nil {
			t.step(n, dy)
			t.free(mark)
		}
	}
	t.deliver()
	t.base.Release(mark)
	t.pull = Pull{}
}

// want finds what is wanted, and which ops lead there.
func (t *Tape) want() {
	t.live = t.live[:0]
	t.flows = append(t.flows[:0], make([]flow, len(t.values))...)
	for _, x := range t.pull.Inputs {
		f := &t.flows[t.known("an input", x)]
		f.wanted, f.input = true, true
	}
	for i := range t.pull.Masks {
		t.flows[t.known("a mask", t.pull.Masks[i].Mask)].mask = true
	}
	for i := range t.nodes {
		t.wantNode(&t.nodes[i])
	}
}

func (t *Tape) wantNode(n *node) {
	masked := n.rule == &maskUnits && t.flows[n.args[1]].mask
	n.active = masked
	for _, s := range n.args {
		n.active = n.active || t.wants(s)
		masked = masked || s != none && t.flows[s].masked
	}
	for i, w := range n.weights {
		n.sums[i] = nil
		if w != nil && t.pull.Weights != nil {
			n.sums[i] = t.pull.Weights(w)
		}
		n.active = n.active || n.sums[i] != nil
	}
	f := &t.flows[n.y]
	f.wanted = f.wanted || n.active || t.wants(n.old)
	f.masked = masked || n.old != none && t.flows[n.old].masked
}

// known is the slot of x, which is part of the recording.
func (t *Tape) known(what string, x *kernels.Tensor) slot {
	s, ok := t.slots[x]
	if !ok {
		misuse("%s %v is unknown to the tape: no op made or took it", what, x)
	}
	return s
}

func misuse(format string, args ...any) {
	panic("kernels: grad: Pull: " + fmt.Sprintf(format, args...))
}

// wants says whether a gradient to s is of use.
func (t *Tape) wants(s slot) bool { return s != none && t.flows[s].wanted }

// enter gives the results their gradients.
func (t *Tape) enter() {
	parts := 0
	for i, y := range t.pull.Results {
		g := t.pull.Gradients[i]
		if g.Cols != y.Cols || y.Rows == 0 && g.Rows != 0 || y.Rows != 0 && g.Rows%y.Rows != 0 {
			misuse("gradient %v of a result %v", g, y)
		}
		if y.Rows == 0 {
			continue
		}
		if parts != 0 && parts != g.Rows/y.Rows {
			misuse("gradient %v of a result %v, where others stack %d", g, y, parts)
		}
		parts = g.Rows / y.Rows
		t.give(t.known("a result", y), g)
	}
}

// step takes the gradient dy of n's result to its arguments.
func (t *Tape) step(n *node, dy *kernels.Tensor) {
	t.give(n.old, dy)
	if n.active {
		t.check(n)
		n.rule.back(t, n, dy)
	}
	if !t.flows[n.y].input {
		t.take(n.y)
	}
}

// check refuses what has no derivative.
func (t *Tape) check(n *node) {
	for i, s := range n.args {
		if s == none {
			continue
		}
		if t.values[s].gone {
			misuse("%s: argument %d was changed after it was used", n.rule.name, i)
		}
		if n.rule.constant&(1<<i) != 0 && t.wants(s) {
			misuse("%s has no derivative to its argument %d", n.rule.name, i)
		}
	}
}

// parts is how many gradients dy, one to n's result, stacks.
func (t *Tape) parts(n *node, dy *kernels.Tensor) int {
	if rows := t.values[n.y].rows; rows > 0 {
		return dy.Rows / rows
	}
	return 1
}

// give adds g to the gradient of s, where that is wanted. The first one is taken
// as it is; no gradient is ever changed, so several values may share one.
func (t *Tape) give(s slot, g *kernels.Tensor) {
	if !t.wants(s) {
		return
	}
	f := &t.flows[s]
	if !f.masked && g.Type == kernels.F32 { // gradients of losses stay stacked: they are small
		g = t.fold(g, t.values[s].rows)
	}
	if f.grad != nil {
		f.grad = t.base.Add(f.grad, g)
		return
	}
	f.grad = g
	t.live = append(t.live, s)
}

// take ends the life of s's gradient.
func (t *Tape) take(s slot) {
	for i, l := range t.live {
		if l == s {
			t.live[i] = t.live[len(t.live)-1]
			t.live = t.live[:len(t.live)-1]
			return
		}
	}
}

// free gives back all that was taken since mark but live gradients.
func (t *Tape) free(mark kernels.Mark) {
	t.keep = t.keep[:0]
	for _, s := range t.live {
		t.keep = append(t.keep, t.flows[s].grad)
	}
	t.base.Release(mark, t.keep...)
}

// deliver writes the gradients of the inputs.
func (t *Tape) deliver() {
	for i, x := range t.pull.Inputs {
		g := t.flows[t.slots[x]].grad
		if g == nil {
			g = t.zero(x.Rows, x.Cols)
		}
		t.base.Copy(t.pull.Into[i], t.fold(g, x.Rows))
	}
}
