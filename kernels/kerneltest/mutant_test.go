package kerneltest_test

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"

	"optin/kernels"
)

// mutant is an Ops with one deliberate bug, which the suite must find.
type mutant struct {
	name string
	op   string // whose cases must find it
	wrap func(ops kernels.Ops) kernels.Ops
}

func TestSuiteCatchesMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("runs much of the suite once for each mutant")
	}
	var all []mutant
	for _, some := range [][]mutant{linearMutants(), normMutants(), attentionMutants(), rowMutants(), scoreMutants(), memoryMutants(),
		backwardMutants(), backwardNormMutants(), backwardAttentionMutants(), backwardScoreMutants()} {
		all = append(all, some...)
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			failed := failures(t, bend(t, m.wrap), m.op)
			if len(failed) == 0 {
				t.Error("the suite let it pass")
				return
			}
			t.Logf("caught by %d cases, first %v", len(failed), failed[0])
		})
	}
}

func TestSuiteCatchesDevices(t *testing.T) {
	same := func(ops kernels.Ops) kernels.Ops { return ops }
	cases := map[string]struct {
		op   string
		bend func(dev *bent)
	}{
		"wide worker differs": {"Linear", func(dev *bent) {
			dev.wide = func(ops kernels.Ops) kernels.Ops { return &lastColumn{plain{ops}} }
		}},
		"guard overwritten": {"Softmax", func(dev *bent) { dev.guards = errors.New("4 bytes after a tensor") }},
		"counts nothing":    {"Linear", func(dev *bent) { dev.idle = true }},
		"arena grows":       {"Memory", func(dev *bent) { dev.grown = 1 }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dev := bend(t, same)
			c.bend(dev)
			if len(failures(t, dev, c.op)) == 0 {
				t.Error("the suite let it pass")
			}
		})
	}
}

// after makes a mutant of the result of Linear.
func after(name string, spoil func(y *kernels.Tensor, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue)) mutant {
	return mutant{name, "Linear", func(ops kernels.Ops) kernels.Ops {
		return &linearSpoiled{plain{ops}, spoil}
	}}
}

type linearSpoiled struct {
	plain
	spoil func(y *kernels.Tensor, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue)
}

func (m *linearSpoiled) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	y := m.Ops.Linear(x, w, e)
	m.spoil(y, x, w, e)
	return y
}

// lastColumn is off by 1e-3 in the last column of a Linear.
type lastColumn struct{ plain }

func (m *lastColumn) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	y := m.Ops.Linear(x, w, e)
	if y.Len() > 0 {
		at(y)[y.Len()-1] += 1e-3
	}
	return y
}

func linearMutants() []mutant {
	var calls atomic.Int64 // of both workers
	return []mutant{
		{"last column", "Linear", func(ops kernels.Ops) kernels.Ops { return &lastColumn{plain{ops}} }},
		after("column after the vectors", func(y, _ *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			if c := y.Cols / 8 * 8; c < y.Cols && y.Cols > 8 {
				at(y)[c] = math.NaN()
			}
		}),
		after("tail of the sum", func(y, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) {
			values, err := w.Values()
			if err != nil || e.Act != kernels.Identity || e.Mask != nil || x.Cols%8 == 0 {
				return
			}
			for r := range y.Rows {
				for c := range y.Cols {
					at(y)[r*y.Cols+c] -= at(x)[(r+1)*x.Cols-1] * float64(values[(c+1)*w.Cols-1])
				}
			}
		}),
		after("one ulp a run", func(y, _ *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			if calls.Add(1)%2 == 0 && y.Len() > 0 {
				at(y)[0] = math.Nextafter(at(y)[0], math.Inf(1))
			}
		}),
		after("writes to its argument", func(_, x *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			if x.Len() > 0 {
				at(x)[x.Len()-1] = 0
			}
		}),
		after("NaN becomes 0", func(y, _ *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			for i, v := range at(y) {
				if math.IsNaN(v) {
					at(y)[i] = 0
				}
			}
		}),
		after("NaN spreads to the next row", func(y, _ *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			for i := y.Len() - 1; i >= y.Cols; i-- {
				if math.IsNaN(at(y)[i-y.Cols]) {
					at(y)[i] = math.NaN()
				}
			}
		}),
		epilogue("no mask on the last variant", func(ops kernels.Ops, e *kernels.Epilogue) {
			if e.Mask != nil && e.Mask.Rows > 1 {
				e.Mask = ops.Activate(e.Mask, kernels.Identity)
				for c := range e.Mask.Cols {
					at(e.Mask)[(e.Mask.Rows-1)*e.Mask.Cols+c] = 1
				}
			}
		}),
		epilogue("no residual with a mask", func(_ kernels.Ops, e *kernels.Epilogue) {
			if e.Mask != nil {
				e.Residual = nil
			}
		}),
		epilogue("no bias with a residual", func(_ kernels.Ops, e *kernels.Epilogue) {
			if e.Residual != nil {
				e.Bias = nil
			}
		}),
		epilogue("the other GELU", func(_ kernels.Ops, e *kernels.Epilogue) {
			if e.Act == kernels.GELU {
				e.Act = kernels.GELUTanh
			}
		}),
		epilogue("the quick GELU's neighbour", func(_ kernels.Ops, e *kernels.Epilogue) {
			if e.Act == kernels.GELUQuick {
				e.Act = kernels.GELUTanh
			}
		}),
		after("GELU of -Inf is 0", func(y, _ *kernels.Tensor, _ *kernels.Weight, _ kernels.Epilogue) {
			for i, v := range at(y) {
				if first := at(y)[i/y.Cols*y.Cols]; math.IsNaN(v) && !math.IsNaN(first) {
					at(y)[i] = 0
				}
			}
		}),
		{"no checks", "Linear", func(ops kernels.Ops) kernels.Ops { return &unchecked{plain{ops}} }},
	}
}

// epilogue makes a mutant that changes what Linear is asked for.
func epilogue(name string, change func(ops kernels.Ops, e *kernels.Epilogue)) mutant {
	return mutant{name, "Linear", func(ops kernels.Ops) kernels.Ops { return &epilogueChanged{plain{ops}, change} }}
}

type epilogueChanged struct {
	plain
	change func(ops kernels.Ops, e *kernels.Epilogue)
}

func (m *epilogueChanged) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	m.change(m.Ops, &e)
	return m.Ops.Linear(x, w, e)
}

type unchecked struct{ plain }

func (m *unchecked) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	if w.Cols != x.Cols {
		return m.New(kernels.F32, x.Rows, w.Rows)
	}
	return m.Ops.Linear(x, w, e)
}
