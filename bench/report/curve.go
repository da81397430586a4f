package report

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"
)

// curve is a line of points that may have errors up and down.
type curve struct {
	plotter.XYs
	low, high []float64 // beneath and above each point; NaN is none
	dashes    bool
}

func (l *curve) add(x, y, plusMinus float64) { l.addInterval(x, y, plusMinus, plusMinus) }

func (l *curve) addInterval(x, y, low, high float64) {
	l.XYs = append(l.XYs, plotter.XY{X: x, Y: y})
	l.low, l.high = append(l.low, low), append(l.high, high)
}

func (l *curve) hasErrors() bool {
	for i := range l.low {
		if l.low[i] > 0 || l.high[i] > 0 {
			return true
		}
	}
	return false
}

// style is the i-th one.
func (l *curve) style(i int) draw.LineStyle {
	if l.dashes {
		return dashed(hue(i), 1.6)
	}
	return solid(hue(i), 1.6)
}

// draw adds the line and its marks in the i-th style.
func (l *curve) draw(p *plot.Plot, i int) {
	p.Add(&plotter.Line{XYs: l.XYs, LineStyle: l.style(i)})
	mark := glyph(i)
	p.Add(&plotter.Scatter{XYs: l.XYs, GlyphStyle: mark})
}

// bars adds an error bar to each point that has an error.
func (l *curve) bars(p *plot.Plot, i int) {
	var b errorBars
	for j := range l.XYs {
		if l.low[j] > 0 || l.high[j] > 0 {
			b.XYs = append(b.XYs, l.XYs[j])
			b.YErrors = append(b.YErrors, struct{ Low, High float64 }{l.low[j], l.high[j]})
		}
	}
	if len(b.XYs) == 0 {
		return
	}
	bars, err := plotter.NewYErrorBars(b)
	if err != nil {
		return // a figure that is infinite has no bar
	}
	bars.LineStyle = solid(hue(i), 1.1)
	bars.CapWidth = 6
	p.Add(bars)
}

// errorBars is what package plotter takes.
type errorBars struct {
	plotter.XYs
	plotter.YErrors
}

// band fills the area between the errors.
func (l *curve) band(p *plot.Plot, i int) {
	var upper, lower plotter.XYs
	for j, q := range l.XYs {
		if math.IsNaN(l.low[j]) {
			continue
		}
		upper = append(upper, plotter.XY{X: q.X, Y: q.Y + l.high[j]})
		lower = append(lower, plotter.XY{X: q.X, Y: q.Y - l.low[j]})
	}
	if len(upper) < 2 {
		l.bars(p, i)
		return
	}
	for j := len(lower) - 1; j >= 0; j-- {
		upper = append(upper, lower[j])
	}
	p.Add(&plotter.Polygon{XYs: []plotter.XYs{upper}, Color: faded(hue(i)), LineStyle: draw.LineStyle{}})
}
