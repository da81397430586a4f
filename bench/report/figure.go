package report

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"gonum.org/v1/plot"
)

// figure is a picture in no format yet: a title, panels that draw themselves,
// and a legend under them all, where it can cover no data.
type figure struct {
	title         string
	subtitle      string
	width, height vg.Length
	legend        []sample
	body          func(draw.Canvas)
}

const (
	dotsPerInch = 144
	margin      = 10 // points around a figure
	titleSize   = 13
	labelSize   = 11
	smallSize   = 9.5
)

// textStyle is text of a size in points, centred at the top of where it is put.
func textStyle(size float64, c color.Color) text.Style {
	return text.Style{
		Color:   c,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size)),
		XAlign:  text.XCenter,
		YAlign:  text.YTop,
		Handler: plot.DefaultTextHandler,
	}
}

// fitting is the text style of a size, or of the largest smaller one in which
// the words are no wider than width.
func fitting(words string, size float64, c color.Color, width vg.Length) text.Style {
	style := textStyle(size, c)
	for size > 5 && style.Width(words) > width {
		size -= 0.5
		style = textStyle(size, c)
	}
	return style
}

// render draws the figure as PNG and as SVG.
func (f *figure) render() (png, svg []byte, err error) {
	var pngBuf, svgBuf bytes.Buffer
	raster := vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(dotsPerInch), vgimg.UseBackgroundColor(color.White))
	f.draw(draw.New(raster))
	if _, err := (vgimg.PngCanvas{Canvas: raster}).WriteTo(&pngBuf); err != nil {
		return nil, nil, err
	}
	vector := vgsvg.New(f.width, f.height)
	c := draw.New(vector)
	c.FillPolygon(color.White, corners(c.Rectangle))
	f.draw(c)
	if _, err := vector.WriteTo(&svgBuf); err != nil {
		return nil, nil, err
	}
	// A machine without the font shall take one of its kind.
	family := bytes.ReplaceAll(svgBuf.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
	return pngBuf.Bytes(), family, nil
}

// draw lays out title, body and legend.
func (f *figure) draw(c draw.Canvas) {
	c = draw.Crop(c, margin, -margin, margin, -margin)
	middle := (c.Min.X + c.Max.X) / 2
	title := fitting(f.title, titleSize, ink, c.Max.X-c.Min.X)
	c.FillText(title, vg.Point{X: middle, Y: c.Max.Y}, f.title)
	used := title.Height(f.title) + 4
	if f.subtitle != "" {
		small := fitting(f.subtitle, smallSize, faintInk, c.Max.X-c.Min.X)
		c.FillText(small, vg.Point{X: middle, Y: c.Max.Y - used}, f.subtitle)
		used += small.Height(f.subtitle) + 4
	}
	c.Max.Y -= used + 4
	c.Min.Y += drawLegend(c, f.legend)
	f.body(c)
}

// corners are those of a rectangle, in order.
func corners(r vg.Rectangle) []vg.Point {
	return []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}}
}
