package kerneltest

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"optin/kernels"
)

// Program is a call of one op on inputs that its shape and a seed determine.
type Program struct {
	Op    string
	Shape string // key=value, separated by spaces

	build func(g *gen) body
}

// Programs are all programs of the suite. With quick, the real shapes are left
// out.
func Programs(quick bool) []Program {
	var all []Program
	for _, some := range [][]Program{
		linearPrograms(), elementPrograms(), normPrograms(), attentionPrograms(),
		rowPrograms(), matchPrograms(), scorePrograms(), lossPrograms(), nanPrograms(), backwardPrograms(),
		widePrograms(),
	} {
		all = append(all, some...)
	}
	if !quick {
		all = append(all, realPrograms()...)
	}
	return all
}

// Open makes the program's inputs and returns what calls its op, and what takes
// its weights back from a device.
func (p Program) Open(seed uint64) (run func(ops kernels.Ops) *kernels.Tensor, forget func(dev kernels.Device)) {
	g := p.gen(seed)
	b := p.build(g)
	return b.run, g.forget
}

// gen seeds the program's inputs so that they do not depend on other programs.
func (p Program) gen(seed uint64) *gen {
	h := fnv.New64a()
	_, _ = h.Write([]byte(p.Op + " " + p.Shape)) // a hash takes any bytes
	return &gen{rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

// body is what a program runs on a device and what must come out.
type body struct {
	run   func(ops kernels.Ops) *kernels.Tensor
	want  func(ref kernels.Ops) []float64 // nil: what run gives there
	scale func(ref kernels.Ops) []float64 // of the tolerance; nil: exact
	terms int                             // of the longest sum
	at    []int                           // which elements want is about; nil: all
}

// gen makes inputs.
type gen struct {
	rng     *rand.Rand
	weights []*kernels.Weight
}

func (g *gen) forget(dev kernels.Device) {
	for _, w := range g.weights {
		dev.Forget(w)
	}
}

// matrix is an input: float32 values that go to both devices.
type matrix struct {
	rows, cols int
	v          []float32
}

// normal is a matrix of normally distributed values.
func (g *gen) normal(rows, cols int, deviation float64) *matrix {
	m := &matrix{rows, cols, make([]float32, rows*cols)}
	for i := range m.v {
		m.v[i] = float32(deviation * g.rng.NormFloat64())
	}
	return m
}

// mask is a matrix of zeros, ones and fractions.
func (g *gen) mask(rows, cols int) *matrix {
	m := &matrix{rows, cols, make([]float32, rows*cols)}
	for i := range m.v {
		switch g.rng.IntN(3) {
		case 1:
			m.v[i] = 1
		case 2:
			m.v[i] = g.rng.Float32()
		}
	}
	return m
}

// ints are n integers in [from, to).
func (g *gen) ints(n, from, to int) []int32 {
	v := make([]int32, n)
	for i := range v {
		v[i] = int32(from + g.rng.IntN(to-from))
	}
	return v
}

// weight makes m a weight, which forget takes back; nil stays nil.
func (g *gen) weight(m *matrix) *kernels.Weight {
	if m == nil {
		return nil
	}
	w := kernels.WeightOf("kerneltest", m.rows, m.cols, m.v)
	g.weights = append(g.weights, w)
	return w
}

// on uploads m; nil stays nil.
func (m *matrix) on(ops kernels.Ops) *kernels.Tensor {
	if m == nil {
		return nil
	}
	return ops.Upload(m.rows, m.cols, m.v)
}

// abs is m without signs; nil stays nil.
func (m *matrix) abs() *matrix {
	if m == nil {
		return nil
	}
	n := &matrix{m.rows, m.cols, make([]float32, len(m.v))}
	for i, v := range m.v {
		n.v[i] = float32(math.Abs(float64(v)))
	}
	return n
}

// at is the value in row r and column c.
func (m *matrix) at(r, c int) float64 { return float64(m.v[r*m.cols+c]) }

// set changes the value in row r and column c.
func (m *matrix) set(r, c int, v float64) { m.v[r*m.cols+c] = float32(v) }

// row is row r.
func (m *matrix) row(r int) []float32 { return m.v[r*m.cols : (r+1)*m.cols] }

// values downloads t.
func values(ops kernels.Ops, t *kernels.Tensor) []float64 {
	v := make([]float64, t.Len())
	ops.Download(t, v)
	return v
}

// oddSizes are lengths around vector widths and a few primes.
func oddSizes() []int { return []int{1, 2, 3, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 37} }
