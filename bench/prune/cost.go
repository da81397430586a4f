package prune

import (
	"fmt"
	"slices"
	"time"

	"optin/bench/model"
)

// Resource is what a budget limits.
type Resource uint8

const (
	MACs    Resource = iota // multiply-accumulates (1 MAC = 2 FLOPs)
	Values                  // parameters
	Latency                 // nanoseconds of one call on one device
)

func (r Resource) String() string { return [...]string{"MACs", "parameters", "latency"}[r] }

// amount is n of the resource, for people.
func (r Resource) amount(n int64) string {
	if r == Latency {
		return time.Duration(n).String()
	}
	return fmt.Sprintf("%d %s", n, r)
}

// Lengths sums up the lengths of a set of sequences: all that the cost of an
// encoder depends on.
type Lengths struct {
	Sequences  int64
	Tokens     int64 // sum of T
	TokenPairs int64 // sum of T^2, what attention scores and contexts cost
}

// LengthsOf adds up the lengths of the sequences of some batches.
func LengthsOf(batches ...*model.Input) Lengths {
	var l Lengths
	for _, in := range batches {
		for b := range in.Seq.Count() {
			t := int64(in.Seq.Len(b))
			l.Sequences++
			l.Tokens += t
			l.TokenPairs += t * t
		}
	}
	return l
}

// Costs are what a model's units cost over a set of sequences, and what is
// spent whatever is pruned. A site's cost is a multiple of its units, or what a
// table says.
type Costs struct {
	Resource Resource
	Unit     []int64   // one unit of each site; nil if there is a table
	Table    [][]int64 // Table[s][n]: site s with n units, never falling with n; nil: n*Unit[s]
	Fixed    int64     // in the encoder, but of no unit
	Outside  int64     // embeddings, pooler, classifier
	units    []int     // of each site
}

// Tabulated are costs by a table for each site, of its costs with 0, 1, ... all
// units.
func Tabulated(r Resource, sites []model.Site, table [][]int64, fixed, outside int64) (Costs, error) {
	if len(table) != len(sites) {
		return Costs{}, fmt.Errorf("%d tables of %s for %d sites", len(table), r, len(sites))
	}
	c := Costs{Resource: r, Table: table, Fixed: fixed, Outside: outside}
	for s, site := range sites {
		if len(table[s]) != site.Units+1 {
			return Costs{}, fmt.Errorf("%v: a table of %s for up to %d units, it has %d", site, r, len(table[s])-1, site.Units)
		}
		if !slices.IsSorted(table[s]) {
			return Costs{}, fmt.Errorf("%v: its table of %s falls", site, r)
		}
		c.units = append(c.units, site.Units)
	}
	return c, nil
}

// CountMACs counts for sequences of the given lengths. A head of size d costs
// 4 T D d for its four projections and 2 T^2 d for scores and context; a neuron
// 2 T D (METHOD section 4).
func CountMACs(m model.Model, l Lengths) Costs {
	d := int64(m.Config().Hidden)
	return count(m, MACs, 0, l.Sequences*m.Extra(), func(s model.Site) int64 {
		w := int64(s.Width)
		if s.Kind == model.Heads {
			return 4*l.Tokens*d*w + 2*l.TokenPairs*w
		}
		return 2 * l.Tokens * d * w
	})
}

// CountValues counts parameters.
func CountValues(m model.Model) Costs {
	perUnit := func(s model.Site) int64 {
		var n int64
		for _, name := range append([]string{s.Consumer}, s.Producers...) {
			n += size(m, name) / int64(s.Units)
		}
		return n
	}
	c := count(m, Values, 0, 0, perUnit)
	var inside int64
	for l := range m.Config().Layers {
		inside += m.LayerValues(l)
	}
	c.Outside = m.Params().Count() - inside
	c.Fixed = inside - c.Dense()
	return c
}

func count(m model.Model, r Resource, fixed, outside int64, unit func(model.Site) int64) Costs {
	c := Costs{Resource: r, Fixed: fixed, Outside: outside}
	for _, s := range m.Sites() {
		c.Unit = append(c.Unit, unit(s))
		c.units = append(c.units, s.Units)
	}
	return c
}

func size(m model.Model, name string) int64 {
	n := int64(1)
	for _, d := range m.Params().Get(name).Shape {
		n *= int64(d)
	}
	return n
}

// Encoder is the cost of the encoder with the given number of units per site.
func (c Costs) Encoder(kept []int) int64 {
	total := c.Fixed
	for s, n := range kept {
		total += c.site(s, n)
	}
	return total
}

// site is the cost of site s with n units.
func (c Costs) site(s, n int) int64 {
	if c.Table != nil {
		return c.Table[s][n]
	}
	return c.Unit[s] * int64(n)
}

// Saving is what removing one more unit saves at a site that keeps the given
// number, at least 1, now; and so the price of the last of them.
func (c Costs) Saving(site, kept int) int64 {
	if c.Table != nil {
		return c.Table[site][kept] - c.Table[site][kept-1]
	}
	return c.Unit[site]
}

// all is the cost of all units of site s.
func (c Costs) all(s int) int64 { return c.site(s, c.units[s]) - c.site(s, 0) }

// Dense is the cost of the whole encoder.
func (c Costs) Dense() int64 { return c.Encoder(c.units) }

// Total is the cost of the whole model.
func (c Costs) Total() int64 { return c.Dense() + c.Outside }

// Share is the part of the encoder's cost that is left, and of the model's.
func (c Costs) Share(kept []int) (encoder, whole float64) {
	left := c.Encoder(kept)
	return float64(left) / float64(c.Dense()), float64(left+c.Outside) / float64(c.Total())
}

func (c Costs) String() string {
	return fmt.Sprintf("%s in the encoder, %s in the model", c.Resource.amount(c.Dense()), c.Resource.amount(c.Total()))
}
