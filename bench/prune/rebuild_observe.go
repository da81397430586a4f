package prune

import (
	"context"
	"sync"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/kernels"
)

// moments are sums over a set of tokens: all that a linear fit of the errors E
// [n, D] to the values V [n, K] depends on.
type moments struct {
	rows   int
	vv, ve *mat.Dense // V'V [K, K] and V'E [K, D]; nil where K is 0
	v, e   []float64  // column sums
	ee     float64    // |E|^2
	target float64    // |E + V W + b|^2: what the site should add to its residual
}

func (m *moments) add(o *moments) {
	if m.rows == 0 {
		*m = *o
		return
	}
	m.rows += o.rows
	if m.vv != nil {
		m.vv.Add(m.vv, o.vv)
		m.ve.Add(m.ve, o.ve)
	}
	for i, x := range o.v {
		m.v[i] += x
	}
	for i, x := range o.e {
		m.e[i] += x
	}
	m.ee += o.ee
	m.target += o.target
}

// chunkRows is how many packed rows are summed up on the device, in its own
// precision, before the sums go on in float64. More would lose digits, fewer
// would move more matrices than they sum up.
const chunkRows = 2048

// observe sums up what the site's values and errors are, over the rows to fit
// and over those that judge. keep lists the columns of values that are left. The
// sums are taken in an order that does not depend on workers.
func (r *rebuilder) observe(ctx context.Context, s int, keep []int) (fitted, judging *moments, err error) {
	rows := make([]int, len(r.batches))
	for b, in := range r.batches {
		rows[b] = in.Seq.Rows()
	}
	ends := Cut(rows, chunkRows)
	sums := &ordered{}
	err = r.dev.Each(ctx, len(ends), func(ops kernels.Ops, c int) error {
		from := 0
		if c > 0 {
			from = ends[c-1]
		}
		o, err := r.newObserver(ops, s, keep)
		if err != nil {
			return err
		}
		for b := from; b < ends[c]; b++ {
			mark := ops.Mark()
			o.batch(b)
			ops.Release(mark)
		}
		sums.put(c, [2]*moments{o.fitted.read(ops, keep), o.judging.read(ops, keep)})
		return nil
	})
	return &sums.total[0], &sums.total[1], err
}

// ordered adds up what chunks bring, in the order of their numbers, as soon as
// the next one is there.
type ordered struct {
	mu    sync.Mutex
	next  int
	early map[int][2]*moments
	total [2]moments
}

func (o *ordered) put(chunk int, m [2]*moments) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.early == nil {
		o.early = make(map[int][2]*moments)
	}
	o.early[chunk] = m
	for {
		m, ok := o.early[o.next]
		if !ok {
			return
		}
		delete(o.early, o.next)
		o.next++
		for i := range m {
			o.total[i].add(m[i])
		}
	}
}

// observer sums up one chunk on a worker.
type observer struct {
	r               *rebuilder
	ops             kernels.Ops
	site            int
	minus, bias     *kernels.Tensor // [1, 1] and [1, D]
	fitted, judging accumulator
}

func (r *rebuilder) newObserver(ops kernels.Ops, s int, keep []int) (*observer, error) {
	site, hidden := r.dense.Sites()[s], r.dense.Config().Hidden
	bias := make([]float32, hidden)
	if err := r.current.Params().Get(site.ConsumerBias()).Read(bias); err != nil {
		return nil, err
	}
	width := site.Units * site.Width
	if len(keep) == 0 {
		width = 0 // no values are left to sum up
	}
	return &observer{r: r, ops: ops, site: s,
		minus: ops.Upload(1, 1, []float32{-1}), bias: ops.Upload(1, hidden, bias),
		fitted: newAccumulator(ops, width, hidden), judging: newAccumulator(ops, width, hidden)}, nil
}

// batch adds micro-batch b.
func (o *observer) batch(b int) {
	ops, r := o.ops, o.r
	want := wholeSum(ops, r.dense.Capture(model.NewPass(ops, r.batches[b]), o.site, r.denseInput[b]))
	got := r.current.Capture(r.masked(ops, b), o.site, r.input[b])
	errors := ops.Add(want, ops.MaskUnits(wholeSum(ops, got), o.minus))
	share := ops.Linear(got.Values, r.current.Consumer(o.site), kernels.Epilogue{Residual: errors})
	target := ops.Add(share, o.bias)
	o.fitted.add(ops, r.split[b].fitted, got.Values, errors, target)
	o.judging.add(ops, r.split[b].judging, got.Values, errors, target)
}

// wholeSum is a site's sum with its residual.
func wholeSum(ops kernels.Ops, c model.Captured) *kernels.Tensor {
	if c.Residual == nil {
		return c.Sum
	}
	return ops.Add(c.Sum, c.Residual)
}

// accumulator holds moments on the device.
type accumulator struct {
	rows       int
	vv, ve     *kernels.Tensor // nil where no values are left
	v, e       *kernels.Tensor
	zero       *kernels.Tensor
	ee, target float64
}

func newAccumulator(ops kernels.Ops, width, hidden int) accumulator {
	zeros := func(rows, cols int) *kernels.Tensor { return ops.Upload(rows, cols, make([]float32, rows*cols)) }
	a := accumulator{e: zeros(1, hidden), zero: zeros(1, hidden)}
	if width > 0 {
		a.vv, a.ve, a.v = zeros(width, width), zeros(width, hidden), zeros(1, width)
	}
	return a
}

// add adds the given rows.
func (a *accumulator) add(ops kernels.Ops, rows []int32, values, errors, target *kernels.Tensor) {
	if len(rows) == 0 {
		return
	}
	a.rows += len(rows)
	idx := ops.UploadInts(rows)
	e := ops.Gather(errors, idx, errors.Rows)
	ones := make([]float32, len(rows))
	for i := range ones {
		ones[i] = 1
	}
	one := ops.Upload(len(rows), 1, ones)
	ops.GramAdd(a.e, one, e)
	a.ee += a.squares(ops, e)
	a.target += a.squares(ops, ops.Gather(target, idx, target.Rows))
	if a.vv != nil {
		v := ops.Gather(values, idx, values.Rows)
		ops.GramAdd(a.vv, v, v)
		ops.GramAdd(a.ve, v, e)
		ops.GramAdd(a.v, one, v)
	}
}

// squares is |x|^2, added up over the rows in float64.
func (a *accumulator) squares(ops kernels.Ops, x *kernels.Tensor) (sum float64) {
	perRow := ops.New(kernels.F64, x.Rows, 1)
	ops.SquaredError(perRow, x, a.zero)
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

// read takes the sums to the host, for the columns of values in keep.
func (a *accumulator) read(ops kernels.Ops, keep []int) *moments {
	m := &moments{rows: a.rows, e: download(ops, a.e), ee: a.ee, target: a.target}
	if a.vv == nil {
		return m
	}
	k, hidden := len(keep), len(m.e)
	vv, ve, v := download(ops, a.vv), download(ops, a.ve), download(ops, a.v)
	m.vv, m.ve, m.v = mat.NewDense(k, k, nil), mat.NewDense(k, hidden, nil), make([]float64, k)
	for i, from := range keep {
		row := m.vv.RawRowView(i)
		for j, c := range keep {
			row[j] = vv[from*a.vv.Cols+c]
		}
		m.ve.SetRow(i, ve[from*hidden:(from+1)*hidden])
		m.v[i] = v[from]
	}
	return m
}
