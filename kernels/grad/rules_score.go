package grad

import "optin/kernels"

var (
	removeUnits          = rule{name: "RemoveUnits", back: backRemoveUnits, constant: 1 << 2}
	normalizeRows        = rule{name: "NormalizeRows", back: backNormalizeRows}
	normalizedDifference = rule{name: "NormalizedDifference", back: backNormalizedDifference}
	gramAdd              = rule{name: "GramAdd", back: backGramAdd}
	manifoldLoss         = rule{name: "ManifoldLoss", back: backManifoldLoss}
	manifoldLossRows     = rule{name: "ManifoldLossRows", back: backManifoldLossRows}
	klDivergence         = rule{name: "KLDivergence", back: backKLDivergence, constant: 1 << 1}
	squaredError         = rule{name: "SquaredError", back: backSquaredError}
)

func backRemoveUnits(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], dy)
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.base.RemoveUnitsBackward(dy, t.tensor(n, 1), t.tensor(n, 2), n.aux, n.count))
	}
}

func backNormalizeRows(t *Tape, n *node, dy *kernels.Tensor) {
	t.give(n.args[0], t.base.NormalizeRowsBackward(dy, t.tensor(n, 0)))
}

func backNormalizedDifference(t *Tape, n *node, dy *kernels.Tensor) {
	if t.wants(n.args[0]) {
		t.give(n.args[0], t.base.NormalizeRowsBackward(dy, t.tensor(n, 0)))
	}
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.base.Scale(dy, -1))
	}
}

// backGramAdd: gram = old + a'b, so da = b dgram' and db = a dgram.
func backGramAdd(t *Tape, n *node, dgram *kernels.Tensor) {
	parts := t.parts(n, dgram)
	if t.wants(n.args[0]) {
		t.give(n.args[0], t.products(t.tensor(n, 1), dgram, parts, true))
	}
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.products(t.tensor(n, 0), dgram, parts, false))
	}
}

func backManifoldLoss(t *Tape, n *node, d *kernels.Tensor) {
	daa, dae, dee := t.base.ManifoldLossBackward(d, t.tensor(n, 0), t.tensor(n, 1), t.tensor(n, 2))
	t.give(n.args[0], daa)
	t.give(n.args[1], dae)
	t.give(n.args[2], dee)
}

func backManifoldLossRows(t *Tape, n *node, d *kernels.Tensor) {
	da, de := t.base.ManifoldLossRowsBackward(d, t.tensor(n, 0), t.tensor(n, 1))
	t.give(n.args[0], da)
	t.give(n.args[1], de)
}

func backKLDivergence(t *Tape, n *node, d *kernels.Tensor) {
	if t.wants(n.args[0]) {
		t.give(n.args[0], t.base.KLDivergenceBackward(d, t.tensor(n, 0), t.tensor(n, 1), n.number))
	}
}

// backSquaredError: the rows of base repeat, and its gradient is minus that of x.
func backSquaredError(t *Tape, n *node, d *kernels.Tensor) {
	x, base := t.tensor(n, 0), t.tensor(n, 1)
	dx := t.base.SquaredErrorBackward(d, x, base)
	t.give(n.args[0], dx)
	if t.wants(n.args[1]) {
		t.give(n.args[1], t.base.Scale(t.foldEach(dx, t.parts(n, d), base.Rows), -1))
	}
}
