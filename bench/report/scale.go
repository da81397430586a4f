package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// zeroFill is the colour of a score of 0, which no logarithm has.
var zeroFill = color.NRGBA{0xc8, 0xc8, 0xc8, 0xff}

// scale maps scores to the range 0 to 1, by their logarithm if none is
// negative.
type scale struct {
	low, high float64
	log       bool
	zeros     bool
}

// decadesAtMost is how far below the highest score a logarithmic scale reaches.
const decadesAtMost = 12

func newScale(values []float64) scale {
	s := scale{low: math.Inf(1), high: math.Inf(-1), log: true}
	for _, v := range values {
		switch {
		case v < 0:
			s.log = false
		case v == 0:
			s.zeros = true
		}
		if v != 0 || !s.log {
			s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
		}
	}
	if !s.log { // zeros count after all
		s.zeros = false
		for _, v := range values {
			s.low, s.high = math.Min(s.low, v), math.Max(s.high, v)
		}
	}
	if math.IsInf(s.low, 1) { // nothing but zeros
		s.low, s.high = 1, 1
	}
	if s.log {
		s.low = math.Max(s.low, s.high*math.Pow(10, -decadesAtMost))
	}
	return s
}

// at is the place of a score from 0 to 1.
func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	if high == low {
		return 0.5
	}
	return min(max((v-low)/(high-low), 0), 1)
}

// fill is the colour of a score.
func (s scale) fill(v float64) color.Color {
	if s.log && v == 0 {
		return zeroFill
	}
	return viridis(s.at(v))
}

func (s scale) title() string {
	if s.log {
		return "score, logarithmic"
	}
	return "score"
}

// ticks label the scale: powers of ten if there are enough of them.
func (s scale) ticks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	add := func(v float64, label string) {
		ticks = append(ticks, plot.Tick{Value: s.at(v), Label: label})
	}
	if s.high == s.low {
		add(s.low, three(s.low))
		return ticks
	}
	if s.log {
		first, last := math.Ceil(math.Log10(s.low)-1e-9), math.Floor(math.Log10(s.high)+1e-9)
		if n := last - first; n >= 1 {
			step := math.Ceil((n + 1) / 7)
			for e := last; e >= first; e -= step {
				add(math.Pow(10, e), "1e"+strconv.Itoa(int(e)))
			}
			return ticks
		}
	}
	for i := range 5 {
		share := float64(i) / 4
		v := s.low + share*(s.high-s.low)
		if s.log {
			v = s.low * math.Pow(s.high/s.low, share)
		}
		add(v, fmt.Sprintf("%.3g", v))
	}
	return ticks
}

// viridis is the colour map of that name (by Smith and van der Walt, in the
// public domain): even in brightness, and legible to people with any colour
// vision. x is from 0 to 1.
func viridis(x float64) color.NRGBA {
	stops := [...][3]float64{
		{68, 1, 84}, {71, 44, 122}, {59, 81, 139}, {44, 113, 142}, {33, 144, 141},
		{39, 173, 129}, {92, 200, 99}, {170, 220, 50}, {253, 231, 37},
	}
	x *= float64(len(stops) - 1)
	i := min(int(x), len(stops)-2)
	part := x - float64(i)
	var c [3]uint8
	for k := range c {
		c[k] = uint8(math.Round(stops[i][k] + part*(stops[i+1][k]-stops[i][k])))
	}
	return color.NRGBA{c[0], c[1], c[2], 0xff}
}
