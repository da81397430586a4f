package model

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"optin/bench/model/checkpoint"
	"optin/kernels"
)

// Param is a parameter as the checkpoint names, shapes and stores it.
type Param struct {
	Name  string
	Shape []int
	DType checkpoint.DType
	Read  func(dst []float32) error // row-major
	Live  *kernels.Tensor           // where its values are while it is trained; else nil
}

// Params are a model's parameters by name.
type Params struct {
	Origin string // the file they came from, for messages

	// Missing makes a parameter that a model needs and that is not there, or
	// returns nil, which is an error. nil: nothing may be missing.
	Missing func(name string, shape []int) *Param

	byName map[string]*Param
	others map[string]checkpoint.DType // tensors of types that are no weights
}

// NewParams collects parameters.
func NewParams(origin string, params ...*Param) *Params {
	p := &Params{Origin: origin, byName: make(map[string]*Param, len(params))}
	for _, param := range params {
		p.byName[param.Name] = param
	}
	return p
}

// OpenParams reads the parameters of a Hugging Face model directory, whatever
// model they are of. Values are read when they are asked for, until the second
// result is called.
func OpenParams(dir string) (*Params, func() error, error) {
	weights, err := checkpoint.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	return openParams(weights), weights.Close, nil
}

// openParams lists the tensors of a checkpoint that hold floating-point values.
func openParams(c *checkpoint.Checkpoint) *Params {
	p := NewParams(c.Path())
	p.others = map[string]checkpoint.DType{}
	for _, name := range c.Names() {
		t, _ := c.Tensor(name)
		if !t.DType.Float() {
			p.others[modernName(name)] = t.DType
			continue // buffers such as BERT's position_ids
		}
		p.byName[modernName(name)] = &Param{
			Name: modernName(name), Shape: t.Shape, DType: t.DType,
			Read: func(dst []float32) error { return readFinite(c, name, dst) },
		}
	}
	return p
}

// readFinite refuses weights that would turn every result into NaN.
func readFinite(c *checkpoint.Checkpoint, name string, dst []float32) error {
	if err := c.Float32(name, dst); err != nil {
		return err
	}
	for i, v := range dst {
		if v-v != 0 {
			return &checkpoint.FormatError{File: c.Path(), Tensor: name,
				Problem: fmt.Sprintf("value %d is %v", i, v), Remedy: "download the file again"}
		}
	}
	return nil
}

// Names lists the parameters, sorted.
func (p *Params) Names() []string {
	names := make([]string, 0, len(p.byName))
	for name := range p.byName {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Get is the parameter of that name, or nil.
func (p *Params) Get(name string) *Param { return p.byName[name] }

// With is p with some parameters replaced.
func (p *Params) With(changed ...*Param) *Params {
	q := NewParams(p.Origin)
	q.Missing = p.Missing
	for name, param := range p.byName {
		q.byName[name] = param
	}
	for _, param := range changed {
		q.byName[param.Name] = param
	}
	return q
}

// Count is the number of values in all parameters.
func (p *Params) Count() int64 {
	var n int64
	for _, param := range p.byName {
		n += int64(elements(param.Shape))
	}
	return n
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// binder takes the parameters an architecture needs, checks their shapes, and
// remembers the first thing that was wrong.
type binder struct {
	params  *Params
	used    []*Param
	weights []*kernels.Weight
	err     error
}

// bound is what a binder took; a checkpoint may hold more.
type bound struct {
	cfg     *Config
	params  *Params
	weights []*kernels.Weight
}

func (b *binder) bound(c *Config) bound {
	return bound{c, NewParams(b.params.Origin, b.used...), b.weights}
}

func (b *bound) Config() *Config            { return b.cfg }
func (b *bound) Params() *Params            { return b.params }
func (b *bound) Weights() []*kernels.Weight { return b.weights }

func (b *binder) tensor(name string, shape []int, rows, cols int) *kernels.Weight {
	if b.err != nil {
		return nil
	}
	p := b.params.Get(name)
	if p == nil && b.params.Missing != nil {
		p = b.params.Missing(name, shape)
	}
	switch {
	case p == nil:
		b.err = &checkpoint.FormatError{File: b.params.Origin, Tensor: name,
			Problem: "is missing", Remedy: "check that config.json belongs to these weights"}
		if t, ok := b.params.others[name]; ok {
			b.err = &checkpoint.FormatError{File: b.params.Origin, Tensor: name,
				Problem: fmt.Sprintf("type %s is not supported", t), Remedy: "weights must be F32, F16, BF16 or F64"}
		}
		return nil
	case !slices.Equal(p.Shape, shape):
		b.err = &checkpoint.FormatError{File: b.params.Origin, Tensor: name,
			Problem: fmt.Sprintf("has shape %v where config.json asks for %v", p.Shape, shape),
			Remedy:  "check that config.json belongs to these weights"}
		return nil
	}
	b.used = append(b.used, p)
	if p.Live != nil {
		live := *p.Live
		live.Rows, live.Cols = rows, cols
		return b.weight(kernels.LiveWeight(name, &live))
	}
	return b.weight(kernels.NewWeight(name, rows, cols, p.Read))
}

func (b *binder) matrix(name string, rows, cols int) *kernels.Weight {
	return b.tensor(name, []int{rows, cols}, rows, cols)
}

func (b *binder) vector(name string, n int) *kernels.Weight {
	return b.tensor(name, []int{n}, 1, n)
}

func (b *binder) token(name string, n int) *kernels.Weight {
	return b.tensor(name, []int{1, 1, n}, 1, n)
}

func (b *binder) linear(name string, out, in int, bias bool) linear {
	l := linear{w: b.matrix(name+".weight", out, in)}
	if bias {
		l.b = b.vector(name+".bias", out)
	} else {
		b.absent(name+".bias", "qkv_bias of config.json is false")
	}
	return l
}

// absent refuses parameters below a prefix that config.json says are not there:
// the model would be another one without them.
func (b *binder) absent(prefix, why string) {
	for _, name := range b.params.Names() {
		if b.err == nil && strings.HasPrefix(name, prefix) {
			b.err = &checkpoint.FormatError{File: b.params.Origin, Tensor: name, Problem: "is there, but " + why,
				Remedy: "check that config.json belongs to these weights"}
		}
	}
}

func (b *binder) norm(name string, n int) norm {
	return norm{b.vector(name+".weight", n), b.vector(name+".bias", n)}
}

func (b *binder) weight(w *kernels.Weight) *kernels.Weight {
	b.weights = append(b.weights, w)
	return w
}

func (b *binder) constant(name string, n int, value float32) *kernels.Weight {
	values := make([]float32, n)
	for i := range values {
		values[i] = value
	}
	return b.weight(kernels.WeightOf(name, 1, n, values))
}

// layerNames are the names of a block's parameters, below a prefix with the
// layer's number.
type layerNames struct {
	prefix                    string
	query, key, value, output string
	up, down                  string
	norm1, norm2              string
}

// encoder binds all blocks and lists their sites. Layers may keep different
// numbers of heads and neurons.
func (b *binder) encoder(c *Config, names layerNames, preNorm bool) encoder {
	var e encoder
	b.absent(fmt.Sprintf(names.prefix, c.Layers), fmt.Sprintf("num_hidden_layers of config.json is %d", c.Layers))
	for l := range c.Layers {
		if b.err != nil {
			return e // a damaged config.json may ask for thousands of layers
		}
		at := fmt.Sprintf(names.prefix, l)
		heads, neurons := c.HeadsIn(l), c.NeuronsIn(l)
		inner := heads * c.HeadSize
		blk := block{preNorm: preNorm, heads: heads, headSize: c.HeadSize, neurons: neurons,
			act: c.Act, eps: c.Eps, headSite: -1, neuronSite: -1}
		blk.norm1, blk.norm2 = b.norm(at+names.norm1, c.Hidden), b.norm(at+names.norm2, c.Hidden)
		blk.q = b.linear(at+names.query, inner, c.Hidden, c.QKVBias)
		blk.k = b.linear(at+names.key, inner, c.Hidden, c.QKVBias)
		blk.v = b.linear(at+names.value, inner, c.Hidden, c.QKVBias)
		blk.o = b.linear(at+names.output, c.Hidden, inner, true)
		blk.up = b.linear(at+names.up, neurons, c.Hidden, true)
		blk.down = b.linear(at+names.down, c.Hidden, neurons, true)
		if heads > 0 {
			blk.headSite = len(e.sites)
			e.sites = append(e.sites, Site{Layer: l, Kind: Heads, Units: heads, Width: c.HeadSize,
				Producers: producers(c.QKVBias, at+names.query, at+names.key, at+names.value),
				Consumer:  at + names.output + ".weight"})
		}
		if neurons > 0 {
			blk.neuronSite = len(e.sites)
			e.sites = append(e.sites, Site{Layer: l, Kind: Neurons, Units: neurons, Width: 1,
				Producers: producers(true, at+names.up), Consumer: at + names.down + ".weight"})
		}
		e.blocks = append(e.blocks, blk)
	}
	return e
}

func producers(bias bool, linears ...string) []string {
	var names []string
	for _, name := range linears {
		names = append(names, name+".weight")
		if bias {
			names = append(names, name+".bias")
		}
	}
	return names
}

// LayerValues is the number of parameters of block l.
func (e *encoder) LayerValues(l int) int64 {
	b := &e.blocks[l]
	var n int
	for _, w := range []*kernels.Weight{b.q.w, b.q.b, b.k.w, b.k.b, b.v.w, b.v.b, b.o.w, b.o.b, b.up.w, b.up.b,
		b.down.w, b.down.b, b.norm1.gamma, b.norm1.beta, b.norm2.gamma, b.norm2.beta} {
		if w != nil {
			n += w.Len()
		}
	}
	return int64(n)
}

// Consumer is the weight whose columns belong to the units of site s.
func (e *encoder) Consumer(s int) *kernels.Weight {
	b := &e.blocks[e.sites[s].Layer]
	if e.sites[s].Kind == Heads {
		return b.o.w
	}
	return b.down.w
}
