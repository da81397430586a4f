package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// estimates are of scores that differ in the number of probes and in their seeds
// alone.
type estimates struct {
	others   string // their method, and the other keys of their variant
	probes   []int  // ascending
	byProbes map[int][]*record.Estimated
}

// estimatesOf are those of the first scores of a model whose numbers of probes make
// a curve; nil if there are none.
func estimatesOf(rec *record.Record, m *record.Model) *estimates {
	var all []*estimates
	for i := range rec.Scores {
		s := &rec.Scores[i]
		e := s.Estimated
		if e == nil || s.Model != m.Name {
			continue
		}
		others := s.Method
		for _, x := range settingsOf(s.Variant) {
			if x.key != "probes" {
				others += " " + x.key + "=" + x.value
			}
		}
		at := slices.IndexFunc(all, func(of *estimates) bool { return of.others == others })
		if at < 0 {
			at = len(all)
			all = append(all, &estimates{others: others, byProbes: map[int][]*record.Estimated{}})
		}
		of := all[at]
		if of.byProbes[e.Probes] == nil {
			of.probes = append(of.probes, e.Probes)
		}
		of.byProbes[e.Probes] = append(of.byProbes[e.Probes], e)
	}
	at := slices.IndexFunc(all, func(of *estimates) bool { return len(of.probes) >= valuesAtLeast })
	if at < 0 {
		return nil
	}
	slices.Sort(all[at].probes)
	return all[at]
}

// estimateFigure draws how near estimated scores come to exact ones against the
// number of probes. Nil for fewer numbers of probes than make a curve.
func estimateFigure(rec *record.Record, m *record.Model) *figure {
	of := estimatesOf(rec, m)
	if of == nil {
		return nil
	}
	p := newPlot("Probes", "Agreement with exact scores")
	f := &figure{
		title: fmt.Sprintf("%s on %s: estimated against exact scores", m.Name, m.Task),
		width: 16 * vg.Centimeter, height: 11 * vg.Centimeter,
		body: func(c draw.Canvas) { p.Draw(c) },
	}
	box := newBounds()
	for i, kind := range []struct {
		label  string
		figure func(*record.Estimated) *float64
	}{
		{"Spearman, neurons", func(e *record.Estimated) *float64 { return e.SpearmanNeurons }},
		{"Spearman, heads", func(e *record.Estimated) *float64 { return e.SpearmanHeads }},
		{"top half in common", func(e *record.Estimated) *float64 { return e.TopHalf }},
	} {
		var line curve
		for _, n := range of.probes {
			var values []*float64
			for _, e := range of.byProbes[n] {
				values = append(values, kind.figure(e))
			}
			y, x := mean(values), math.Log10(float64(n))
			if y == nil {
				continue
			}
			err := math.NaN()
			if sd := spread(values); sd != nil {
				err = *sd
				f.subtitle = "bars: one standard deviation over the seeds"
			}
			line.add(x, *y, err)
			box.add(x, *y-orZero(err))
			box.add(x, *y+orZero(err))
		}
		if len(line.XYs) == 0 {
			continue
		}
		line.bars(p, i)
		line.draw(p, i)
		style, mark := line.style(i), glyph(i)
		f.legend = append(f.legend, sample{label: kind.label, line: &style, glyph: &mark})
	}
	if len(f.legend) == 0 {
		return nil
	}
	p.X.Min, p.X.Max = wider(box.left, box.right, 0.03)
	p.Y.Min, p.Y.Max = wider(box.bottom, math.Max(box.top, 1), 0.06)
	var ticks plot.ConstantTicks
	for _, n := range of.probes {
		ticks = append(ticks, plot.Tick{Value: math.Log10(float64(n)), Label: strconv.Itoa(n)})
	}
	p.X.Tick.Marker = ticks
	return f
}
