package report

import (
	"image/color"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// sample is one entry of a legend.
type sample struct {
	label string
	line  *draw.LineStyle
	glyph *draw.GlyphStyle
	fill  color.Color // of a patch
}

const (
	sampleWidth = 26 // points, of the picture beside a label
	sampleGap   = 18 // between entries
	legendRow   = 16 // height
)

// drawLegend writes the samples in centred rows at the bottom of c and returns
// the height they take.
func drawLegend(c draw.Canvas, samples []sample) vg.Length {
	if len(samples) == 0 {
		return 0
	}
	style := textStyle(10, ink)
	style.XAlign, style.YAlign = text.XLeft, text.YCenter
	widths := make([]vg.Length, len(samples))
	for i, s := range samples {
		widths[i] = sampleWidth + 5 + style.Width(s.label) + sampleGap
	}
	var rows [][]int
	room := vg.Length(0)
	for i := range samples {
		if room < widths[i]-sampleGap || len(rows) == 0 {
			rows = append(rows, nil)
			room = c.Max.X - c.Min.X
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], i)
		room -= widths[i]
	}
	height := vg.Length(len(rows))*legendRow + 4
	y := c.Min.Y + height - 4 - legendRow/2
	for _, row := range rows {
		total := -vg.Length(sampleGap)
		for _, i := range row {
			total += widths[i]
		}
		x := (c.Min.X + c.Max.X - total) / 2
		for _, i := range row {
			samples[i].draw(c, x, y)
			c.FillText(style, vg.Point{X: x + sampleWidth + 5, Y: y}, samples[i].label)
			x += widths[i]
		}
		y -= legendRow
	}
	return height
}

// draw draws the picture of the sample with its left end at x, y.
func (s sample) draw(c draw.Canvas, x, y vg.Length) {
	if s.fill != nil {
		c.FillPolygon(s.fill, corners(vg.Rectangle{Min: vg.Point{X: x + 4, Y: y - 4}, Max: vg.Point{X: x + sampleWidth - 4, Y: y + 4}}))
	}
	if s.line != nil {
		c.StrokeLine2(*s.line, x, y, x+sampleWidth, y)
	}
	if s.glyph != nil {
		c.DrawGlyph(*s.glyph, vg.Point{X: x + sampleWidth/2, Y: y})
	}
}
