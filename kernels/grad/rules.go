package grad

import "optin/kernels"

// rule is how gradients pass an op: back gives to the arguments of n what comes
// of dy, the gradient to its result.
type rule struct {
	name     string
	back     func(t *Tape, n *node, dy *kernels.Tensor)
	constant uint // bit i: there is no derivative to argument i
}

var (
	copied      = rule{name: "Copy", back: backCopied}
	linear      = rule{name: "Linear", back: backLinear}
	layerNorm   = rule{name: "LayerNorm", back: backLayerNorm}
	attention   = rule{name: "Attention", back: backAttention, constant: 1<<3 | 1<<4}
	activate    = rule{name: "Activate", back: backActivate}
	add         = rule{name: "Add", back: backAdd}
	maskUnits   = rule{name: "MaskUnits", back: backMaskUnits}
	softmax     = rule{name: "Softmax", back: backSoftmax}
	embed       = rule{name: "Embed", back: backEmbed}
	patchify    = rule{name: "Patchify", back: backPatchify}
	unpack      = rule{name: "Unpack", back: backUnpack}
	gather      = rule{name: "Gather", back: backGather}
	scatterMean = rule{name: "ScatterMean", back: backScatterMean}
	concat      = rule{name: "Concat", back: backConcat}
	repeat      = rule{name: "Repeat", back: backRepeat}
)

func backCopied(t *Tape, n *node, dy *kernels.Tensor) { t.give(n.args[0], dy) }

// backLinear: y = x W' + bias + residual.
func backLinear(t *Tape, n *node, dy *kernels.Tensor) {
	if dw := n.sums[0]; dw != nil {
		x := t.tensor(n, 0)
		t.base.GramAdd(dw, t.fold(dy, x.Rows), x)
	}
	if dbias := n.sums[1]; dbias != nil {
		t.base.SumRows(dbias, dy)
	}
	if t.wants(n.args[0]) {
		t.give(n.args[0], t.base.LinearBackward(dy, n.weights[0]))
	}
	t.give(n.args[1], dy)
}

func backLayerNorm(t *Tape, n *node, dy *kernels.Tensor) {
	x, residual := t.tensor(n, 0), t.tensor(n, 1)
	if n.sums[0] != nil || n.sums[1] != nil {
		t.base.LayerNormWeights(n.sums[0], n.sums[1], dy, x, residual, n.number)
	}
	if t.wants(n.args[0]) || t.wants(n.args[1]) {
		dx := t.base.LayerNormBackward(dy, x, residual, n.weights[0], n.number)
		t.give(n.args[0], dx)
		t.give(n.args[1], dx)
	}
}

func backAttention(t *Tape, n *node, dy *kernels.Tensor) {
	dq, dk, dv := t.base.AttentionBackward(dy, t.tensor(n, 0), t.tensor(n, 1), t.tensor(n, 2), n.spec)
	t.give(n.args[0], dq)
	t.give(n.args[1], dk)
	t.give(n.args[2], dv)
}

func backActivate(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.base.Multiply(dy, n.aux))
}

// backAdd: rows of the second argument may repeat.
func backAdd(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], dy)
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.foldEach(dy, t.parts(n, dy), t.values[n.args[1]].rows))
	}
}

// backMaskUnits: y = mask . x.
func backMaskUnits(t *Tape, n *node, dy *kernels.Tensor) {
	x, mask := t.tensor(n, 0), t.tensor(n, 1)
	for i := range t.pull.Masks {
		if m := &t.pull.Masks[i]; t.slots[m.Mask] == n.args[1] {
			t.sumUnits(m, dy, x)
		}
	}
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.maskGradient(dy, x, mask.Rows, mask.Cols))
	}
	if !t.wants(n.args[0]) {
		return
	}
	if t.values[n.args[1]].ones {
		t.give(n.args[0], dy)
		return
	}
	if parts := t.parts(n, dy); parts > 1 && mask.Rows > 1 {
		mask = t.base.Repeat(mask, parts)
	}
	t.give(n.args[0], t.base.MaskUnits(dy, mask))
}

// sumUnits adds the mask's gradient, of the first that dy stacks, to m.Dst.
func (t *Tape) sumUnits(m *MaskSum, dy, x *kernels.Tensor) {
	segments := 1
	if m.Segments != nil {
		segments = m.Segments.Count()
	}
	if m.Dst.Rows == 0 || m.Dst.Rows%segments != 0 || x.Rows%(m.Dst.Rows/segments) != 0 {
		misuse("mask gradient %v for %d segments of %v", m.Dst, segments, x)
	}
	parts := m.Dst.Rows / segments
	span := x.Rows / parts
	for v := range parts {
		from, to := v*span, (v+1)*span
		t.base.UnitSums(t.cut(0, m.Dst, v*segments, (v+1)*segments), t.cut(1, dy, from, to), t.cut(2, x, from, to), m.Segments)
	}
}

// maskGradient is the gradients to a mask [variants, units] of all that dy
// stacks.
func (t *Tape) maskGradient(dy, x *kernels.Tensor, variants, units int) *kernels.Tensor {
	span := x.Rows / variants
	rows := variants
	if x.Rows > 0 {
		rows = dy.Rows / span
	}
	sums := t.zero(rows, units)
	for r := range rows {
		from := r % variants * span
		t.base.UnitSums(t.cut(0, sums, r, r+1), t.cut(1, dy, r*span, (r+1)*span), t.cut(2, x, from, from+span), nil)
	}
	return sums
}

func backSoftmax(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.base.SoftmaxBackward(dy, t.values[n.y].tensor))
}

func backEmbed(t *Tape, n *node, dy *kernels.Tensor) {
	if table := n.sums[0]; table != nil {
		t.base.ScatterAdd(table, dy, n.aux, table.Rows)
	}
	t.give(n.args[0], dy)
}

func backPatchify(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.base.PatchifyBackward(dy, n.patches))
}

// backUnpack: no mask lies upstream, so dy stacks nothing.
func backUnpack(t *Tape, n *node, dy *kernels.Tensor) {
	if dy.Len() == 0 {
		return
	}
	if n.flip {
		dy = t.transpose(dy)
	}
	t.base.SumRows(n.sums[0], dy)
}

func backGather(t *Tape, n *node, dy *kernels.Tensor) {
	dx := t.zero(t.parts(n, dy)*t.values[n.args[0]].rows, dy.Cols)
	t.base.ScatterAdd(dx, dy, n.aux, n.count)
	t.give(n.args[0], dx)
}

func backScatterMean(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.base.ScatterMeanBackward(dy, n.aux, n.count))
}

func backConcat(t *Tape, n *node, dy *kernels.Tensor) {
	parts := t.parts(n, dy)
	above, below := t.values[n.args[0]].rows, t.values[n.args[1]].rows
	if t.wants(n.args[0]) {
		t.give(n.args[0], t.pick(dy, parts, 0, above))
	}
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.pick(dy, parts, above, below))
	}
}

func backRepeat(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.foldEach(dy, t.parts(n, dy), t.values[n.args[0]].rows))
}
