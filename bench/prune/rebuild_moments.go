package prune

import (
	"context"

	"gonum.org/v1/gonum/mat"

	"optin/kernels"
)

// moments are sums over a set of tokens: all that a linear fit of the
// errors E [n, D] by X [n, K] depends on.
type moments struct {
	count  float64    // of tokens
	xx, xe *mat.Dense // X'X [K, K] and X'E [K, D]; nil where K is 0
	x, e   []float64  // column sums
	ee     float64    // |E|^2
	target float64    // what ee is relative to
}

// plus is the moments of two sets together.
func (m *moments) plus(o *moments) *moments {
	sum := &moments{count: m.count + o.count, ee: m.ee + o.ee, target: m.target + o.target}
	sum.x, sum.e = added(m.x, o.x), added(m.e, o.e)
	if m.xx != nil {
		sum.xx, sum.xe = &mat.Dense{}, &mat.Dense{}
		sum.xx.Add(m.xx, o.xx)
		sum.xe.Add(m.xe, o.xe)
	}
	return sum
}

func added(x, y []float64) []float64 {
	sum := make([]float64, len(x))
	for i, v := range x {
		sum[i] = v + y[i]
	}
	return sum
}

// evidence is the moments of the sequences to fit and of those that judge, for
// every choice of tokens. The last choice is the one to judge by.
type evidence struct{ fitted, judging []*moments }

// judge is the choice to judge by.
func (e *evidence) judge() int { return len(e.judging) - 1 }

// regression is what a micro-batch brings: E, what it is relative to, and X, nil
// where there is nothing to fit by.
type regression struct{ x, e, target *kernels.Tensor }

// chunkRows is how many packed rows are summed up on the device, in its own
// precision, before the sums go on in float64. More would lose digits, fewer
// would move more matrices than they sum up.
const chunkRows = 2048

// observe sums up what run gives for every micro-batch, for the columns of X in
// keep out of width, once for each choice of tokens. The sums are taken in an
// order that does not depend on workers.
func (r *rebuilder) observe(ctx context.Context, choices [][]split, width int, keep []int, run func(ops kernels.Ops, b int) regression) (*evidence, error) {
	rows := make([]int, len(r.batches))
	for b, in := range r.batches {
		rows[b] = in.Seq.Rows()
	}
	ends := Cut(rows, chunkRows)
	var sums inOrder
	var total [][]float64
	err := r.dev.Each(ctx, len(ends), func(ops kernels.Ops, c int) error {
		o := newObserver(ops, choices, width, r.dense.Config().Hidden)
		from := 0
		if c > 0 {
			from = ends[c-1]
		}
		for b := from; b < ends[c]; b++ {
			mark := ops.Mark()
			o.add(b, run(ops, b))
			ops.Release(mark)
		}
		if all, done := sums.add(c, len(ends), o.read(keep)); done {
			total = all
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	ev := &evidence{}
	for ; len(total) > 0; total = total[2*fields:] {
		ev.fitted = append(ev.fitted, momentsOf(total[:fields]))
		ev.judging = append(ev.judging, momentsOf(total[fields:2*fields]))
	}
	return ev, nil
}

// fields is how many lists of numbers moments are on their way from a worker.
const fields = 5

func momentsOf(lists [][]float64) *moments {
	m := &moments{count: lists[0][0], ee: lists[0][1], target: lists[0][2], e: lists[1], x: lists[2]}
	if k := len(m.x); k > 0 {
		m.xe, m.xx = mat.NewDense(k, len(m.e), lists[3]), mat.NewDense(k, k, lists[4])
	}
	return m
}

// observer sums up one chunk on a worker.
type observer struct {
	ops     kernels.Ops
	choices [][]split
	sums    []accumulator // by choice, fitted and judging
	zero    *kernels.Tensor
}

func newObserver(ops kernels.Ops, choices [][]split, width, hidden int) *observer {
	o := &observer{ops: ops, choices: choices, zero: zeros(ops, 1, hidden)}
	for range 2 * len(choices) {
		o.sums = append(o.sums, newAccumulator(ops, width, hidden))
	}
	return o
}

// add adds micro-batch b.
func (o *observer) add(b int, r regression) {
	for i, choice := range o.choices {
		o.sums[2*i].add(o.ops, r.rows(o.ops, choice[b].fitted), o.zero)
		o.sums[2*i+1].add(o.ops, r.rows(o.ops, choice[b].judging), o.zero)
	}
}

// rows is some rows of a regression.
func (r regression) rows(ops kernels.Ops, rows []int32) regression {
	idx, n := ops.UploadInts(rows), r.e.Rows
	out := regression{e: ops.Gather(r.e, idx, n), target: ops.Gather(r.target, idx, n)}
	if r.x != nil {
		out.x = ops.Gather(r.x, idx, n)
	}
	return out
}

// read takes the sums to the host, for the columns of X in keep.
func (o *observer) read(keep []int) (lists [][]float64) {
	for _, a := range o.sums {
		lists = append(lists, a.read(o.ops, keep)...)
	}
	return lists
}

// accumulator holds moments on the device.
type accumulator struct {
	xx, xe, x, e      *kernels.Tensor // without x where there is nothing to fit by
	count, ee, target float64
}

func zeros(ops kernels.Ops, rows, cols int) *kernels.Tensor {
	return ops.Upload(rows, cols, make([]float32, rows*cols))
}

func newAccumulator(ops kernels.Ops, width, hidden int) accumulator {
	a := accumulator{e: zeros(ops, 1, hidden)}
	if width > 0 {
		a.xx, a.xe, a.x = zeros(ops, width, width), zeros(ops, width, hidden), zeros(ops, 1, width)
	}
	return a
}

func (a *accumulator) add(ops kernels.Ops, r regression, zero *kernels.Tensor) {
	n := r.e.Rows
	if n == 0 {
		return
	}
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	column := ops.Upload(n, 1, ones)
	a.count += float64(n)
	a.ee += squares(ops, r.e, zero)
	a.target += squares(ops, r.target, zero)
	ops.GramAdd(a.e, column, r.e)
	if r.x != nil {
		ops.GramAdd(a.xx, r.x, r.x)
		ops.GramAdd(a.xe, r.x, r.e)
		ops.GramAdd(a.x, column, r.x)
	}
}

// squares is |x|^2, added up over the rows in float64; zero is a row of zeros.
func squares(ops kernels.Ops, x, zero *kernels.Tensor) (sum float64) {
	perRow := ops.New(kernels.F64, x.Rows, 1)
	ops.SquaredError(perRow, x, zero)
	for _, v := range download(ops, perRow) {
		sum += v
	}
	return sum
}

func download(ops kernels.Ops, t *kernels.Tensor) []float64 {
	values := make([]float64, t.Len())
	ops.Download(t, values)
	return values
}

// read is what momentsOf takes.
func (a *accumulator) read(ops kernels.Ops, keep []int) [][]float64 {
	lists := [][]float64{{a.count, a.ee, a.target}, download(ops, a.e), nil, nil, nil}
	if a.xx == nil {
		return lists
	}
	xx, xe, x, hidden := download(ops, a.xx), download(ops, a.xe), download(ops, a.x), a.xe.Cols
	for _, row := range keep {
		lists[2] = append(lists[2], x[row])
		lists[3] = append(lists[3], xe[row*hidden:(row+1)*hidden]...)
		for _, c := range keep {
			lists[4] = append(lists[4], xx[row*a.xx.Cols+c])
		}
	}
	return lists
}
