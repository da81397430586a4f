package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

var (
	ink      = color.NRGBA{0x22, 0x22, 0x22, 0xff}
	faintInk = color.NRGBA{0x66, 0x66, 0x66, 0xff}
	gridInk  = color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
)

// hues is how many colours and shapes there are before they repeat.
const hues = 7

// hue is the i-th colour of Okabe and Ito's palette, which people with any
// colour vision can tell apart, less its black and yellow.
func hue(i int) color.NRGBA {
	palette := [hues]color.NRGBA{
		{0x00, 0x72, 0xb2, 0xff}, // blue
		{0xd5, 0x5e, 0x00, 0xff}, // vermilion
		{0x00, 0x9e, 0x73, 0xff}, // green
		{0xcc, 0x79, 0xa7, 0xff}, // purple
		{0xe6, 0x9f, 0x00, 0xff}, // orange
		{0x56, 0xb4, 0xe9, 0xff}, // sky blue
		{0x88, 0x88, 0x88, 0xff}, // grey
	}
	return palette[i%hues]
}

// faded is a colour for areas behind lines.
func faded(c color.NRGBA) color.NRGBA {
	c.A = 0x38
	return c
}

// glyph is the i-th shape, so that colour is never the only difference.
func glyph(i int) draw.GlyphStyle {
	shapes := [hues]draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.PyramidGlyph{}, draw.BoxGlyph{},
		draw.RingGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{}}
	return draw.GlyphStyle{Color: hue(i), Radius: 3.6, Shape: shapes[i%hues]}
}

func solid(c color.Color, width vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: width}
}

func dashed(c color.Color, width vg.Length) draw.LineStyle {
	return draw.LineStyle{Color: c, Width: width, Dashes: []vg.Length{5, 3}}
}

// newPlot is an empty panel with axes and a faint grid.
func newPlot(x, y string) *plot.Plot {
	p := newPanel(x, y)
	grid := plotter.NewGrid()
	grid.Horizontal, grid.Vertical = solid(gridInk, 0.6), solid(gridInk, 0.6)
	p.Add(grid)
	return p
}

// newPanel is an empty panel with axes.
func newPanel(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = textStyle(labelSize, ink).Font
		a.Tick.Label.Font = textStyle(smallSize, ink).Font
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.LineStyle = solid(ink, 0.8)
		a.Tick.LineStyle = solid(ink, 0.8)
		a.Tick.Length = 4
		a.Padding = 4
		a.Label.Padding = 4
	}
	p.Title.TextStyle.Font = textStyle(labelSize, ink).Font
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 5
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks(8), roundTicks(6)
	return p
}

// wider enlarges a range by a share of its length on both sides.
func wider(low, high, share float64) (float64, float64) {
	pad := share * (high - low)
	if pad == 0 {
		pad = 1
	}
	return low - pad, high + pad
}
