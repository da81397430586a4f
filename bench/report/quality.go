package report

import (
	"fmt"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// qualityFigure draws a metric against the MACs that are kept, a line for each
// way of pruning: with bars of one standard error, or a band of one standard
// deviation where there are several seeds. which says which ways these are, if not
// all. Nil if there is nothing to draw.
func qualityFigure(m *record.Model, all []series, name, which string) *figure {
	p := newPlot("Encoder MACs kept (% of dense)", strings.ToUpper(name[:1])+name[1:]+" (%)")
	f := &figure{
		title: fmt.Sprintf("%s on %s: %s after pruning", m.Name, m.Task, name),
		width: 16 * vg.Centimeter, height: 11 * vg.Centimeter,
		body: func(c draw.Canvas) { p.Draw(c) },
	}
	if which != "" {
		f.title += ", " + which
	}
	box := newBounds()
	dense := metricOf(m.Metrics, name)
	if dense != nil && dense.Value != nil {
		box.add(100, 100**dense.Value)
	}
	several, bars := false, false
	for _, s := range all {
		line := curve{dashes: s.rank >= hues}
		for _, q := range s.points {
			x := q.average(keptEncoder)
			y, e := q.quality(name)
			if x == nil || y == nil {
				continue
			}
			err := math.NaN()
			if e != nil {
				err = 100 * *e
			}
			line.add(100**x, 100**y, err)
			box.add(100**x, 100**y-orZero(err))
			box.add(100**x, 100**y+orZero(err))
		}
		if len(line.XYs) == 0 {
			continue
		}
		if s.seeds() > 1 {
			several = true
			line.band(p, s.rank)
		} else {
			bars = bars || line.hasErrors()
			line.bars(p, s.rank)
		}
		line.draw(p, s.rank)
		style, mark := line.style(s.rank), glyph(s.rank)
		f.legend = append(f.legend, sample{label: s.labelWithSeeds(), line: &style, glyph: &mark})
	}
	if len(f.legend) == 0 {
		return nil
	}
	switch {
	case several && bars:
		f.subtitle = "bars: one standard error over the examples; band: one standard deviation over the seeds"
	case several:
		f.subtitle = "band: one standard deviation over the seeds"
	case bars:
		f.subtitle = "bars: one standard error over the examples"
	}
	p.X.Min, p.X.Max = wider(box.left, math.Max(box.right, 100), 0.03)
	p.Y.Min, p.Y.Max = wider(box.bottom, box.top, 0.06)
	if dense != nil && dense.Value != nil {
		style := dashed(ink, 1.1)
		level(p, 100**dense.Value, style)
		f.legend = append(f.legend, sample{label: fmt.Sprintf("dense (%s)", withError(dense.Value, dense.StdErr)), line: &style})
	}
	return f
}

// level draws a horizontal line across a panel.
func level(p *plot.Plot, y float64, style draw.LineStyle) {
	line := &plotter.Line{XYs: plotter.XYs{{X: p.X.Min, Y: y}, {X: p.X.Max, Y: y}}, LineStyle: style}
	low, high := p.Y.Min, p.Y.Max
	p.Add(line)
	p.Y.Min, p.Y.Max = low, high
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// bounds is what data spans.
type bounds struct{ left, right, bottom, top float64 }

func newBounds() *bounds {
	return &bounds{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
}

func (b *bounds) add(x, y float64) {
	b.left, b.right = math.Min(b.left, x), math.Max(b.right, x)
	b.bottom, b.top = math.Min(b.bottom, y), math.Max(b.top, y)
}
