package kerneltest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"sync"

	"optin/kernels"
)

// goldens is what scripts/golden_gradients.py has torch's autograd compute.
//
//go:embed testdata/gradients.json
var goldens []byte

// golden is one call of an op: float32 inputs, the same for every device, and
// what comes out in float64.
type golden struct {
	Op, Name string
	Inputs   map[string]goldenMatrix
	Numbers  map[string]float64
	Ints     map[string][]int
	Want     []float64
}

type goldenMatrix struct {
	Rows, Cols int
	Values     []float32
}

// readGoldens is all of them. A file that is not as it should be is a bug of the
// package, in which it is embedded.
var readGoldens = sync.OnceValue(func() []golden {
	var file struct{ Cases []golden }
	if err := json.Unmarshal(goldens, &file); err != nil {
		panic(fmt.Sprintf("kerneltest: testdata/gradients.json: %v", err))
	}
	return file.Cases
})

func goldenPrograms() []Program {
	programs := make([]Program, 0, len(readGoldens()))
	for _, c := range readGoldens() {
		programs = append(programs, c.program())
	}
	return programs
}

func (c golden) program() Program {
	return Program{c.Op, "golden=" + c.Name, func(g *gen) body {
		b := c.body(g)
		b.want = func(kernels.Ops) []float64 { return c.Want }
		return b
	}}
}

// in is an input; nil where there is none of that name.
func (c golden) in(name string) *matrix {
	m, ok := c.Inputs[name]
	if !ok {
		return nil
	}
	return &matrix{m.Rows, m.Cols, m.Values}
}

func (c golden) int(name string) int { return int(c.Numbers[name]) }

func (c golden) indices() []int32 {
	idx := make([]int32, len(c.Ints["idx"]))
	for i, v := range c.Ints["idx"] {
		idx[i] = int32(v)
	}
	return idx
}

// body is that of the programs of the same op, with the golden's inputs.
func (c golden) body(g *gen) body {
	switch c.Op {
	case "LinearBackward":
		return linearBackward(g, c.in("dy"), c.in("w"))
	case "LayerNormBackward":
		return c.layerNorm().backward(g, c.in("dy"))
	case "LayerNormWeights":
		in := c.layerNorm()
		return in.weights(c.in("dy"), zero(1, in.x.cols), zero(1, in.x.cols))
	case "AttentionBackward":
		return c.attention().backward(c.in("dy"))
	case "Derivative":
		return derived(c.activation(), c.in("x"))
	case "SoftmaxBackward":
		return c.softmax()
	case "KLDivergenceBackward":
		return klDerived(c.in("d"), c.in("x"), c.in("base"), c.Numbers["tau"])
	case "SquaredErrorBackward":
		return squaredErrorDerived(c.in("d"), c.in("x"), c.in("base"))
	case "ManifoldLossRowsBackward":
		return manifoldRowsDerived(c.in("d"), c.in("a"), c.in("e"))
	case "ManifoldLossBackward":
		return manifoldDerived(c.in("d"), c.in("aa"), c.in("ae"), c.in("ee"))
	case "NormalizeRowsBackward":
		return normalizeDerived(c.in("dy"), c.in("x"))
	case "PatchifyBackward":
		dy, s := c.in("dy"), kernels.PatchSpec{
			Channels: c.int("channels"), Height: c.int("height"), Width: c.int("width"), Patch: c.int("patch"),
		}
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return derivatives(ops).PatchifyBackward(dy.on(ops), s) }}
	case "AdamW":
		return adamWInputs{c.in("w"), c.in("m"), c.in("v"), c.in("g"), kernels.AdamWStep{
			Rate: c.Numbers["rate"], Beta1: c.Numbers["beta1"], Beta2: c.Numbers["beta2"], Eps: c.Numbers["eps"],
			Decay: c.Numbers["decay"], Gradient: c.Numbers["gradient"], Step: c.int("step"),
		}}.body()
	}
	return c.sum()
}

// sum is the body of the ops that add gradients up.
func (c golden) sum() body {
	dy := c.in("dy")
	switch c.Op {
	case "GramAdd":
		return positive(dy.rows, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			dw := zero(m[0].cols, m[1].cols).fresh(ops)
			ops.GramAdd(dw, m[0].on(ops), m[1].on(ops))
			return dw
		}, dy, c.in("x"))
	case "SumRows":
		return positive(dy.rows, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			db := zero(1, dy.cols).fresh(ops)
			derivatives(ops).SumRows(db, m[0].on(ops))
			return db
		}, dy)
	case "ScatterAdd":
		return positive(dy.rows, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			dst := zero(c.int("rows"), dy.cols).fresh(ops)
			derivatives(ops).ScatterAdd(dst, m[0].on(ops), ops.UploadInts(c.indices()), dst.Rows)
			return dst
		}, dy)
	case "ScatterMeanBackward":
		return positive(1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			return derivatives(ops).ScatterMeanBackward(m[0].on(ops), ops.UploadInts(c.indices()), c.int("rows"))
		}, dy)
	}
	panic("kerneltest: no golden call of " + c.Op)
}

func zero(rows, cols int) *matrix { return &matrix{rows, cols, make([]float32, rows*cols)} }

func (c golden) layerNorm() layerNormInputs {
	return layerNormInputs{x: c.in("x"), res: c.in("residual"), gamma: c.in("gamma"), eps: c.Numbers["eps"]}
}

func (c golden) activation() kernels.Activation {
	for _, act := range activations() {
		if act.String() == c.Name {
			return act
		}
	}
	panic("kerneltest: no activation " + c.Name)
}

func (c golden) attention() attentionInputs {
	in := attentionInputs{
		q: c.in("q"), k: c.in("k"), v: c.in("v"), biases: c.in("bias"), keyBiases: c.in("keybias"),
		attention: attention{queries: c.Ints["queries"], keys: c.Ints["keys"], heads: c.int("heads"), variants: 1, causal: c.int("causal") == 1},
	}
	in.width = in.q.cols / in.heads
	in.spec = kernels.AttentionSpec{
		Heads: in.heads, Scale: c.Numbers["scale"], Causal: in.causal,
		Q: kernels.NewSequences(in.queries...), K: kernels.NewSequences(in.keys...),
	}
	if in.keyBiases != nil {
		open := *in.keyBiases
		open.v = append([]float32(nil), open.v...)
		for _, r := range c.Ints["hidden"] {
			open.set(r, 0, math.Inf(-1))
		}
		in.keyBiases = &open
	}
	return in
}

// softmax takes the probabilities from the device: their errors add to the
// scale.
func (c golden) softmax() body {
	dy, x := c.in("dy"), c.in("x")
	sizes := zero(x.rows, x.cols)
	for r := range x.rows {
		logs, errors := logSoftmax(x.row(r), 1)
		p := make([]float64, len(logs))
		for i, v := range logs {
			p[i] = math.Exp(v)
		}
		for i, moved := range softmaxScale(p, logs, errors) {
			sizes.set(r, i, p[i]+moved)
		}
	}
	b := softmaxDerived(dy, sizes)
	b.run = func(ops kernels.Ops) *kernels.Tensor {
		return derivatives(ops).SoftmaxBackward(dy.on(ops), ops.Softmax(x.on(ops)))
	}
	return b
}
