package prune_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
)

// stackAll downloads what a function gives for every micro-batch, one below the
// other.
func stackAll(t *testing.T, d kernels.Device, ins []*model.Input, f func(ops kernels.Ops, in *model.Input) *kernels.Tensor) *mat.Dense {
	t.Helper()
	var all []float64
	cols := 0
	for _, in := range ins {
		if err := d.One(context.Background(), func(ops kernels.Ops) error {
			x := f(ops, in)
			row := make([]float64, x.Len())
			ops.Download(x, row)
			all, cols = append(all, row...), x.Cols
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return mat.NewDense(len(all)/cols, cols, all)
}

// captured is what a model gives at a site, run from its start: the values, and
// the sum with its residual.
func captured(t *testing.T, d kernels.Device, m model.Model, ins []*model.Input, s int) (v, sum *mat.Dense) {
	t.Helper()
	capture := func(ops kernels.Ops, in *model.Input) model.Captured {
		p := model.NewPass(ops, in)
		x := m.Embed(p, in)
		for l := range m.Sites()[s].Layer {
			x, _ = m.Block(p, l, x)
		}
		return m.Capture(p, s, x)
	}
	v = stackAll(t, d, ins, func(ops kernels.Ops, in *model.Input) *kernels.Tensor { return capture(ops, in).Values })
	sum = stackAll(t, d, ins, func(ops kernels.Ops, in *model.Input) *kernels.Tensor {
		c := capture(ops, in)
		if c.Residual == nil {
			return c.Sum
		}
		return ops.Add(c.Sum, c.Residual)
	})
	return v, sum
}

// columns of a, in the given order.
func columns(a mat.Matrix, keep []int) *mat.Dense {
	rows, _ := a.Dims()
	out := mat.NewDense(rows, len(keep), nil)
	for j, c := range keep {
		for i := range rows {
			out.Set(i, j, a.At(i, c))
		}
	}
	return out
}

// weights are the consumer of a site, [K, D] for the columns in keep, and its
// bias as a row.
func weights(t *testing.T, m model.Model, s int, keep []int) (w, b *mat.Dense) {
	t.Helper()
	site, hidden := m.Sites()[s], m.Config().Hidden
	list := values(t, m, site.Consumer)
	w, b = mat.NewDense(len(keep), hidden, nil), mat.NewDense(1, hidden, nil)
	for i, c := range keep {
		for d := range hidden {
			w.Set(i, d, float64(list[d*site.Units*site.Width+c]))
		}
	}
	for d, v := range values(t, m, site.ConsumerBias()) {
		b.Set(0, d, float64(v))
	}
	return w, b
}

// fitting is a site after a rebuild, from outside: what its consumer reads, what
// was missing before it was changed, and its change.
type fitting struct {
	keep     []int
	v, e     *mat.Dense
	old      *mat.Dense // weights
	change   *mat.Dense // of the weights, and below them of the bias
	unitSize int
}

func fittingOf(t *testing.T, d kernels.Device, m, rebuilt model.Model, ins []*model.Input, mask prune.Mask, s int) fitting {
	t.Helper()
	site := m.Sites()[s]
	f := fitting{unitSize: site.Width}
	for u, on := range mask[s] {
		for i := range site.Width {
			if on {
				f.keep = append(f.keep, u*site.Width+i)
			}
		}
	}
	zeroed, err := prune.Zeroed(rebuilt, mask)
	if err != nil {
		t.Fatal(err)
	}
	all, sum := captured(t, d, zeroed, ins, s)
	f.v = columns(all, f.keep)
	_, want := captured(t, d, m, ins, s)
	w, b := weights(t, rebuilt, s, f.keep)
	oldW, oldB := weights(t, m, s, f.keep)
	f.old = oldW
	f.change, f.e = &mat.Dense{}, &mat.Dense{}
	w.Sub(w, oldW)
	b.Sub(b, oldB)
	f.change.Stack(w, b)
	f.e.Mul(withOnes(f.v), f.change) // what the change adds
	f.e.Add(f.e, want)
	f.e.Sub(f.e, sum)
	return f
}

func withOnes(x *mat.Dense) *mat.Dense {
	n, k := x.Dims()
	ones := mat.NewDense(n, 1, nil)
	for i := range n {
		ones.Set(i, 0, 1)
	}
	out := mat.NewDense(n, k+1, nil)
	out.Augment(x, ones)
	return out
}

// byQR solves the whole system
//
//	[ X          1 ] [ dW ]   [ E ]
//	[ sqrt(l) I  0 ] [ db ] = [ 0 ],   l = ridge mean(diag(X'X)), X centred.
func byQR(t *testing.T, x, e *mat.Dense, ridge float64) *mat.Dense {
	t.Helper()
	n, k := x.Dims()
	lambda := 0.0
	for j := range k {
		mean := mat.Sum(x.ColView(j)) / float64(n)
		lambda += ridge / float64(k) * (mat.Dot(x.ColView(j), x.ColView(j)) - float64(n)*mean*mean)
	}
	_, hidden := e.Dims()
	below := mat.NewDense(k, k+1, nil)
	for j := range k {
		below.Set(j, j, math.Sqrt(lambda))
	}
	var left, right mat.Dense
	left.Stack(withOnes(x), below)
	right.Stack(e, mat.NewDense(k, hidden, nil))
	return solve(t, &left, &right)
}

func solve(t *testing.T, a, b mat.Matrix) *mat.Dense {
	t.Helper()
	var qr mat.QR
	qr.Factorize(a)
	var x mat.Dense
	if err := qr.SolveTo(&x, false, b); err != nil {
		t.Fatal(err)
	}
	return &x
}

// agrees compares matrices by the largest entry.
func agrees(t *testing.T, what string, got, want *mat.Dense) {
	t.Helper()
	var off mat.Dense
	off.Sub(got, want)
	size := func(m *mat.Dense) float64 { return math.Max(mat.Max(m), -mat.Min(m)) }
	if !(size(&off) <= 1e-5*size(want)) {
		t.Errorf("%s: off by %g where the largest is %g", what, size(&off), size(want))
	}
}

// Every site is what QR gives, with all below it rebuilt.
func TestLeastSquaresIsTheQRSolution(t *testing.T) {
	for _, name := range []string{"bert-odd", "vit-basic"} {
		m, d := open(t, name), device(t, 2)
		ins := batches(t, m, name, 20)
		mask := randomHalf(m)
		o := prune.DefaultRebuildOptions()
		o.Ridges = []float64{1e-2}
		rebuilt, report := rebuild(t, d, m, mask, ins, o)
		count := 0
		for s, site := range m.Sites() {
			if !report[s].Rebuilt {
				continue
			}
			count++
			f := fittingOf(t, d, m, rebuilt, ins, mask, s)
			rows := rowsOf(ins, report[s].HeadRows)
			agrees(t, fmt.Sprintf("%s: %v", name, site), f.change, byQR(t, pick(f.v, rows), pick(f.e, rows), o.Ridges[0]))
		}
		if count < 2 {
			t.Errorf("%s: only %d sites are rebuilt", name, count)
		}
	}
}

// Producers read X + X C + c, (C, c) being what QR gives.
func TestInputsAreTheQRSolution(t *testing.T) {
	for _, name := range []string{"bert-odd", "vit-basic", "vit-no-qkv-bias"} {
		m, d := open(t, name), device(t, 2)
		ins := batches(t, m, name, 20)
		o := prune.DefaultRebuildOptions()
		o.Ridges = []float64{1}
		mask := randomHalf(m)
		rebuilt, report := rebuild(t, d, m, mask, ins, o)
		masked, err := prune.Zeroed(rebuilt, mask)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for s, site := range m.Sites() {
			if !report[s].Inputs.Rebuilt {
				continue
			}
			count++
			x, e := reads(t, d, masked, ins, s), reads(t, d, m, ins, s)
			e.Sub(e, x)
			hidden := m.Config().Hidden
			biased := m.Params().Get(strings.Replace(site.Producers[0], ".weight", ".bias", 1)) != nil
			var c *mat.Dense
			if biased {
				c = byQR(t, x, e, o.Ridges[0])
			} else {
				c = throughOrigin(t, x, e, o.Ridges[0])
			}
			for _, producer := range site.Producers {
				if strings.HasSuffix(producer, ".bias") {
					continue
				}
				old, now := params(t, m, producer, hidden), params(t, rebuilt, producer, hidden)
				now.Sub(now, old)
				var want mat.Dense
				want.Mul(old, c.Slice(0, hidden, 0, hidden).T())
				agrees(t, name+": "+producer, now, &want)
				if !biased {
					continue
				}
				bias := strings.Replace(producer, ".weight", ".bias", 1)
				old0, now0 := params(t, m, bias, 1), params(t, rebuilt, bias, 1)
				now0.Sub(now0, old0)
				want.Reset()
				want.Mul(old, c.Slice(hidden, hidden+1, 0, hidden).T())
				agrees(t, name+": "+bias, now0, &want)
			}
		}
		if count == 0 {
			t.Errorf("%s: no producer is rebuilt", name)
		}
	}
}

// throughOrigin is byQR without a bias.
func throughOrigin(t *testing.T, x, e *mat.Dense, ridge float64) *mat.Dense {
	t.Helper()
	_, k := x.Dims()
	_, hidden := e.Dims()
	lambda := ridge / float64(k) * math.Pow(mat.Norm(x, 2), 2)
	below := mat.NewDense(k, k, nil)
	for j := range k {
		below.Set(j, j, math.Sqrt(lambda))
	}
	var left, right mat.Dense
	left.Stack(x, below)
	right.Stack(e, mat.NewDense(k, hidden, nil))
	return solve(t, &left, &right)
}

func reads(t *testing.T, d kernels.Device, m model.Model, ins []*model.Input, s int) *mat.Dense {
	t.Helper()
	return stackAll(t, d, ins, func(ops kernels.Ops, in *model.Input) *kernels.Tensor {
		p := model.NewPass(ops, in)
		x := m.Embed(p, in)
		for l := range m.Sites()[s].Layer {
			x, _ = m.Block(p, l, x)
		}
		return m.Reads(p, s, x)
	})
}

// params is a parameter as a matrix.
func params(t *testing.T, m model.Model, name string, cols int) *mat.Dense {
	t.Helper()
	var wide []float64
	for _, v := range values(t, m, name) {
		wide = append(wide, float64(v))
	}
	return mat.NewDense(len(wide)/cols, cols, wide)
}

// shares is what every unit adds to the sum of a site, a column each, all tokens
// and columns of the sum below each other; with a constant, a column of ones.
func (f fitting) shares(rows []int, constant bool) (a, e *mat.Dense) {
	units := len(f.keep) / f.unitSize
	_, hidden := f.e.Dims()
	cols := units
	if constant {
		cols++
	}
	a, e = mat.NewDense(len(rows)*hidden, cols, nil), mat.NewDense(len(rows)*hidden, 1, nil)
	for i, row := range rows {
		for d := range hidden {
			for c := range f.keep {
				u := c / f.unitSize
				a.Set(i*hidden+d, u, a.At(i*hidden+d, u)+f.v.At(row, c)*f.old.At(c, d))
			}
			if constant {
				a.Set(i*hidden+d, units, 1)
			}
			e.Set(i*hidden+d, 0, f.e.At(row, d))
		}
	}
	return a, e
}

// factors is the change of a site as that of one factor per unit.
func (f fitting) factors(t *testing.T, what string) *mat.Dense {
	t.Helper()
	units := len(f.keep) / f.unitSize
	_, hidden := f.old.Dims()
	out := mat.NewDense(units, 1, nil)
	scaled := mat.NewDense(len(f.keep)+1, hidden, nil)
	for u := range units {
		rows := f.change.Slice(u*f.unitSize, (u+1)*f.unitSize, 0, hidden)
		old := f.old.Slice(u*f.unitSize, (u+1)*f.unitSize, 0, hidden)
		var product mat.Dense
		product.MulElem(rows, old)
		out.Set(u, 0, mat.Sum(&product)/math.Pow(mat.Norm(old, 2), 2))
		part := scaled.Slice(u*f.unitSize, (u+1)*f.unitSize, 0, hidden).(*mat.Dense)
		part.Scale(out.At(u, 0), old)
	}
	agrees(t, what+": change by factors", scaled, f.change)
	return out
}

// Every site's factors are what QR gives: over all tokens, or as PTF does it.
func TestScalesAreTheQRSolution(t *testing.T) {
	for _, reference := range []bool{false, true} {
		for _, name := range []string{"bert-basic", "vit-basic"} {
			m, d := open(t, name), device(t, 2)
			ins := batches(t, m, name, 20)
			mask := prune.Full(m.Sites())
			for s := range mask {
				for u := range mask[s] {
					mask[s][u] = u < 3
				}
			}
			o := prune.DefaultRebuildOptions()
			o.Method, o.Reference, o.Ridges = prune.Scale, reference, []float64{1e-12}
			rebuilt, report := rebuild(t, d, m, mask, ins, o)
			count := 0
			for s, site := range m.Sites() {
				if !report[s].Rebuilt {
					continue
				}
				count++
				what := fmt.Sprintf("%s, reference %v: %v", name, reference, site)
				f := fittingOf(t, d, m, rebuilt, ins, mask, s)
				ptf := reference && site.Kind == model.Neurons && site.Layer == m.Config().Layers-1
				rows := rowsOf(ins, report[s].HeadRows || ptf)
				constant := reference && site.Kind == model.Heads
				shares, missing := f.shares(rows, constant)
				got := f.factors(t, what)
				if reference {
					// LSMR stops at its tolerance.
					want := damped(t, shares, missing, constant).Slice(0, 3, 0, 1)
					if diff := mat.Norm(sub(got, want), 2); !(diff <= 1e-3*mat.Norm(want, 2)) {
						t.Errorf("%s: factors are off by %g of %g", what, diff, mat.Norm(want, 2))
					}
					continue
				}
				agrees(t, what, got, solve(t, shares, missing))
			}
			if count == 0 || reference && report[0].Rebuilt {
				t.Errorf("%s, reference %v: %+v", name, reference, report)
			}
		}
	}
}

// damped is the least of |M d - c|^2 + |d|^2 for the normal equations M d = c.
// With a constant, the last unknown stands for a constant of 1 and what is added
// to it.
func damped(t *testing.T, a, e *mat.Dense, constant bool) *mat.Dense {
	t.Helper()
	_, n := a.Dims()
	if constant {
		e = sub(e, a.Slice(0, a.RawMatrix().Rows, n-1, n))
	}
	var m, c, square, rhs mat.Dense
	m.Mul(a.T(), a)
	c.Mul(a.T(), e)
	square.Mul(m.T(), &m)
	for i := range n {
		square.Set(i, i, square.At(i, i)+1)
	}
	rhs.Mul(m.T(), &c)
	return solve(t, &square, &rhs)
}

func sub(a, b mat.Matrix) *mat.Dense {
	var out mat.Dense
	out.Sub(a, b)
	return &out
}

// rowsOf lists all tokens, or the first of each sequence.
func rowsOf(ins []*model.Input, first bool) (rows []int) {
	before := 0
	for _, in := range ins {
		for i := range in.Seq.Count() {
			for t := range in.Seq.Len(i) {
				if t == 0 || !first {
					rows = append(rows, before+int(in.Seq.Offsets[i])+t)
				}
			}
		}
		before += in.Seq.Rows()
	}
	return rows
}

func pick(a *mat.Dense, rows []int) *mat.Dense {
	_, cols := a.Dims()
	out := mat.NewDense(len(rows), cols, nil)
	for i, row := range rows {
		out.SetRow(i, a.RawRowView(row))
	}
	return out
}
