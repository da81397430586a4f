package prune

import (
	"fmt"
	"math"
	"slices"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
)

// LatencyTable is what the parts of a model take in one call on one device, as
// MeasureLatency found it. It holds for models of the same shape and calls of
// the same batch, in the same number of pieces.
type LatencyTable struct {
	Sequences int `json:"sequences"` // of a call
	Tokens    int `json:"tokens"`
	Pieces    int `json:"pieces"` // that the batch is cut into

	// One layer with 0, ... all units of one kind, beside part of the other.
	Heads   []LatencyPoint `json:"heads"`
	Neurons []LatencyPoint `json:"neurons"`

	Empty   float64           `json:"empty_seconds"`   // one layer without units
	Outside float64           `json:"outside_seconds"` // embeddings, pooler, classifier
	Hidden  int               `json:"hidden"`
	Unit    int               `json:"head_size"`
	Notes   []measure.Warning `json:"warnings"`
}

// LatencyPoint is the measured time of one layer.
type LatencyPoint struct {
	Units   int              `json:"units"`
	Seconds measure.Estimate `json:"seconds"`
}

// Costs are costs in nanoseconds of m. Times are fitted by the nearest ones that
// never fall with the number of units, least squares with equal weights, and
// lie on lines between the counts that were measured. A site costs what it
// takes beyond an empty one.
func (t *LatencyTable) Costs(m model.Model) (Costs, error) {
	c := m.Config()
	if c.Hidden != t.Hidden || c.HeadSize != t.Unit {
		return Costs{}, fmt.Errorf("the table of latencies is of a model of width %d with heads of %d, this one has %d and %d", t.Hidden, t.Unit, c.Hidden, c.HeadSize)
	}
	curves := [...][]int64{model.Heads: nanoseconds(t.Heads), model.Neurons: nanoseconds(t.Neurons)}
	var table [][]int64
	for _, site := range m.Sites() {
		curve := curves[site.Kind]
		if site.Units >= len(curve) {
			return Costs{}, fmt.Errorf("%v has %d, latencies were measured up to %d", site, site.Units, len(curve)-1)
		}
		table = append(table, curve[:site.Units+1])
	}
	fixed := int64(c.Layers) * wholeNanoseconds(t.Empty)
	return Tabulated(Latency, m.Sites(), table, fixed, wholeNanoseconds(t.Outside))
}

func wholeNanoseconds(seconds float64) int64 {
	return int64(math.Round(seconds * float64(time.Second)))
}

// nanoseconds is the cost of 0, 1, ... units beyond none.
func nanoseconds(points []LatencyPoint) []int64 {
	var seconds []float64
	for _, p := range points {
		seconds = append(seconds, p.Seconds.Value)
	}
	rising := isotonic(seconds)
	curve := []int64{0}
	for i := 1; i < len(points); i++ {
		from, to := points[i-1].Units, points[i].Units
		for n := from + 1; n <= to; n++ {
			share := float64(n-from) / float64(to-from)
			curve = append(curve, wholeNanoseconds(rising[i-1]+share*(rising[i]-rising[i-1])-rising[0]))
		}
	}
	return curve
}

// isotonic is the sequence that never falls and is nearest to x in least
// squares, by pooling neighbours that fall to their mean (Ayer et al., 1955).
func isotonic(x []float64) []float64 {
	type pool struct {
		sum float64
		n   int
	}
	mean := func(p pool) float64 { return p.sum / float64(p.n) }
	var pools []pool
	for _, v := range x {
		p := pool{v, 1}
		for k := len(pools); k > 0 && mean(pools[k-1]) > mean(p); k-- {
			p = pool{p.sum + pools[k-1].sum, p.n + pools[k-1].n}
			pools = pools[:k-1]
		}
		pools = append(pools, p)
	}
	out := make([]float64, 0, len(x))
	for _, p := range pools {
		out = append(out, slices.Repeat([]float64{mean(p)}, p.n)...)
	}
	return out
}
