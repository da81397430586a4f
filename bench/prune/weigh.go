package prune

import (
	"math"

	"optin/bench/model"
)

// Balance says how the two losses are brought to one scale.
type Balance uint8

const (
	BalanceMean    Balance = iota // KD is scaled once, so that its mean is that of MD
	BalanceNone                   // raw sizes
	BalanceUnit                   // REF: KD of each unit times 10^int(log10(MD/KD) - log10 lambda)
	BalanceRunning                // REF: KD times the mean of the factors of all earlier units; the first has its own
)

// Weighing turns the two measured losses into one score per unit.
type Weighing struct {
	Lambda  float64 // weight of KD
	Balance Balance
	NoMD    bool // only one of the losses
	NoKD    bool

	IndexWeights bool    // REF: scores fall with the unit's index, 10..1 over heads and 100..1 over neurons, geometrically
	LastLayer    float64 // REF 0.5 (language): factor of the last layer's scores
	LastNeurons  float64 // REF 1e-4 (DeiT-S): factor of the last layer's neuron scores, besides
	Heads        float64 // REF 0.5: factor of all head scores
	Neurons      float64 // REF 1: factor of all neuron scores
	NoRegression bool    // REF: the KL of a regression head is 0
}

// DefaultWeighing is what METHOD section 2 settles on.
func DefaultWeighing() Weighing {
	return Weighing{Lambda: 0.1, LastLayer: 1, LastNeurons: 1, Heads: 1, Neurons: 1}
}

// Weigh combines the parts of every unit: I = MD + lambda KD after balancing,
// times the factors.
func Weigh(m model.Model, p *Parts, w Weighing) [][]float64 {
	useMD := !w.NoMD
	useKD := !w.NoKD && !(w.NoRegression && m.Config().Regression)
	kd := balanced(p, w, useMD)
	scores := make([][]float64, len(p.MD))
	for s, site := range m.Sites() {
		scores[s] = make([]float64, site.Units)
		for u := range scores[s] {
			var score float64
			if useMD {
				score += p.MD[s][u]
			}
			if useKD {
				score += kd[s][u]
			}
			scores[s][u] = score * w.factor(site, u, m.Config().Layers)
		}
	}
	return scores
}

// Scale multiplies scores that are weighed already by the factors of w.
func (w Weighing) Scale(m model.Model, scores [][]float64) [][]float64 {
	out := make([][]float64, len(scores))
	for s, site := range m.Sites() {
		for u, v := range scores[s] {
			out[s] = append(out[s], v*w.factor(site, u, m.Config().Layers))
		}
	}
	return out
}

// balanced is lambda KD at the scale of MD.
func balanced(p *Parts, w Weighing, useMD bool) [][]float64 {
	out := make([][]float64, len(p.KD))
	mean := 1.0
	if md, kd := total(p.MD), total(p.KD); w.Balance == BalanceMean && useMD && kd > 0 {
		mean = md / kd
	}
	var sum, n float64
	for s := range p.KD {
		out[s] = make([]float64, len(p.KD[s]))
		for u, kd := range p.KD[s] {
			factor := w.Lambda * mean
			if w.Balance == BalanceUnit || w.Balance == BalanceRunning {
				factor = decade(p.MD[s][u], kd, w.Lambda)
				own := factor
				if w.Balance == BalanceRunning && n > 0 {
					factor = sum / n
				}
				sum, n = sum+own, n+1
			}
			out[s][u] = factor * kd
		}
	}
	return out
}

// decade is the reference's factor; 1 where a loss is 0 and it has none.
func decade(md, kd, lambda float64) float64 {
	if !(md > 0 && kd > 0 && lambda > 0) {
		return 1
	}
	return math.Pow(10, math.Trunc(math.Log10(md/kd)-math.Log10(lambda)))
}

func total(values [][]float64) float64 {
	var sum float64
	for _, site := range values {
		for _, v := range site {
			sum += v
		}
	}
	return sum
}

func (w Weighing) factor(site model.Site, u, layers int) float64 {
	f, top, last := w.Heads, 10.0, w.LastLayer
	if site.Kind == model.Neurons {
		f, top, last = w.Neurons, 100, w.LastLayer*w.LastNeurons
	}
	if site.Layer == layers-1 {
		f *= last
	}
	if w.IndexWeights && site.Units > 1 {
		f *= math.Pow(top, 1-float64(u)/float64(site.Units-1))
	}
	return f
}
