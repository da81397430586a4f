package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// speedFigure draws the speed-up of one way of pruning against the MACs that
// are kept, a line for each batch size and kind of timing, beside the speed-up
// there would be if time were MACs. Nil if nothing was timed.
func speedFigure(m *record.Model, s series) *figure {
	p := newPlot("MACs of the whole model kept (% of dense)", "Speed-up over dense (times)")
	f := &figure{
		title:    fmt.Sprintf("%s on %s: speed-up after pruning by %s", m.Name, m.Task, s.label),
		subtitle: "medians of interleaved runs; bars: 95 % interval",
		width:    16 * vg.Centimeter, height: 11 * vg.Centimeter,
		body: func(c draw.Canvas) { p.Draw(c) },
	}
	box := newBounds()
	box.add(100, 1)
	for _, b := range batchSizes(s) {
		for _, kind := range []string{record.ModelOnly, record.EndToEnd} {
			line := speedCurve(s, kind, b.size, box)
			if len(line.XYs) == 0 {
				continue
			}
			line.bars(p, b.rank)
			line.draw(p, b.rank)
			style, mark := solid(hue(b.rank), 1.6), glyph(b.rank)
			label := fmt.Sprintf("batch %d", b.size)
			if kind == record.EndToEnd {
				style = dashed(hue(b.rank), 1.6)
				label += ", end-to-end"
			}
			f.legend = append(f.legend, sample{label: label, line: &style, glyph: &mark})
		}
	}
	if len(f.legend) == 0 {
		return nil
	}
	box.add(box.left, 100/math.Max(box.left, 5))
	p.X.Min, p.X.Max = wider(box.left, 100, 0.03)
	p.Y.Min, p.Y.Max = wider(math.Min(box.bottom, 1), box.top, 0.06)
	style := dashed(faintInk, 1.1)
	style.Dashes = []vg.Length{2, 2.5}
	ideal(p, box.left, style)
	f.legend = append(f.legend, sample{label: "ideal: 1 / kept", line: &style})
	return f
}

// speedCurve gathers the timings of one kind and batch size.
func speedCurve(s series, kind string, size int, box *bounds) curve {
	line := curve{dashes: kind == record.EndToEnd}
	for _, q := range s.points {
		r := q.runs[0]
		for _, t := range r.Timings {
			if t.Kind != kind || t.Batch != size || t.Speedup == nil || r.KeptModelMACs == nil {
				continue
			}
			x, e := 100**r.KeptModelMACs, t.Speedup
			line.addInterval(x, e.Value, e.Value-e.Low, e.High-e.Value)
			box.add(x, e.Low)
			box.add(x, e.High)
		}
	}
	return line
}

// ideal draws the speed-up that is the inverse of the MACs.
func ideal(p *plot.Plot, from float64, style draw.LineStyle) {
	const steps = 60
	from = math.Max(from, 5)
	line := &plotter.Line{LineStyle: style}
	for i := range steps + 1 {
		x := from + (100-from)*float64(i)/steps
		line.XYs = append(line.XYs, plotter.XY{X: x, Y: 100 / x})
	}
	p.Add(line)
}

// batchSize is one that was timed, with its place among them.
type batchSize struct{ size, rank int }

func batchSizes(s series) []batchSize {
	var sizes []int
	for _, q := range s.points {
		for _, t := range q.runs[0].Timings {
			if !slices.Contains(sizes, t.Batch) {
				sizes = append(sizes, t.Batch)
			}
		}
	}
	slices.Sort(sizes)
	out := make([]batchSize, len(sizes))
	for i, n := range sizes {
		out[i] = batchSize{n, i}
	}
	return out
}
