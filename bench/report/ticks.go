package report

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// roundTicks labels an axis at round numbers, about as many as it is given.
type roundTicks int

// Ticks returns the marks between two values: labelled ones a round step of 1, 2
// or 5 times a power of ten apart.
func (n roundTicks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) || math.IsInf(high-low, 0) {
		return []plot.Tick{{Value: low, Label: three(low)}}
	}
	rough := (high - low) / float64(n)
	power := math.Floor(math.Log10(rough))
	step, digits := 0.0, 0
	for _, f := range []float64{1, 2, 5, 10} {
		if step = f * math.Pow(10, power); step >= rough*0.999 {
			digits = max(0, -int(math.Floor(math.Log10(step)+1e-9)))
			break
		}
	}
	var ticks []plot.Tick
	for k := math.Ceil(low/step - 1e-9); k*step <= high+1e-9*step; k++ {
		ticks = append(ticks, plot.Tick{Value: k * step, Label: strconv.FormatFloat(k*step+0, 'f', digits, 64)})
	}
	return ticks
}
