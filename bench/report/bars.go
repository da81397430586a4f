package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const barWidth = 0.4 // of the distance of two layers

// layerBars are bars beside the marks of the layers.
type layerBars struct {
	heights []float64
	offset  float64 // of a bar's left edge from its layer
	fill    color.Color
}

// Plot draws the bars.
func (b *layerBars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, h := range b.heights {
		left := float64(i) + b.offset
		if math.IsNaN(h) {
			continue
		}
		c.FillPolygon(b.fill, corners(vg.Rectangle{
			Min: vg.Point{X: x(left), Y: y(0)},
			Max: vg.Point{X: x(left + barWidth), Y: y(h)},
		}))
	}
}
