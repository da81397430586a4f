package report

import (
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// cellPlotter fills a cell for each score: its layer upwards, its unit to the
// right.
type cellPlotter struct {
	cells [][]float64
	scale scale
}

// overlap in points hides the seams between neighbouring cells.
const overlap = 0.35

// Plot draws the cells, each a little into the next.
func (h *cellPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for layer, row := range h.cells {
		for unit, v := range row {
			r := vg.Rectangle{
				Min: vg.Point{X: x(float64(unit) - 0.5), Y: y(float64(layer) - 0.5)},
				Max: vg.Point{X: x(float64(unit) + 0.5), Y: y(float64(layer) + 0.5)},
			}
			if unit+1 < len(row) {
				r.Max.X += overlap
			}
			if layer+1 < len(h.cells) {
				r.Max.Y += overlap
			}
			c.FillPolygon(h.scale.fill(v), corners(r))
		}
	}
}

// barPlotter fills its panel with the colours of a scale, lowest at the bottom.
type barPlotter struct{}

// Plot draws the colours.
func (*barPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	const steps = 96
	_, y := p.Transforms(&c)
	for i := range steps {
		r := vg.Rectangle{
			Min: vg.Point{X: c.Min.X, Y: y(float64(i) / steps)},
			Max: vg.Point{X: c.Min.X + 12, Y: y(float64(i+1) / steps)},
		}
		if i+1 < steps {
			r.Max.Y += overlap
		}
		c.FillPolygon(viridis((float64(i)+0.5)/steps), corners(r))
	}
}
