package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
	"optin/experiments/published"
)

// cited are the published figures of one method on one model.
type cited struct {
	method, model string
	figures       []published.Figure
}

// citedOn gathers the published figures of a task by method and model.
func citedOn(task string) []cited {
	var out []cited
	for _, f := range published.Of(task) {
		at := slices.IndexFunc(out, func(c cited) bool { return c.method == f.Method && c.model == f.Model })
		if at < 0 {
			at = len(out)
			out = append(out, cited{method: f.Method, model: f.Model})
		}
		out[at].figures = append(out[at].figures, f)
	}
	return out
}

// publishedTable puts published figures of the task beside ours, a column for
// each budget. It has no rows where nobody published any.
func publishedTable(rec *record.Record, m *record.Model, name string) table {
	list, all := citedOn(m.Task), seriesOf(rec, m.Name)
	t := table{
		title:  fmt.Sprintf("%s on %s: published figures of other models, and ours by %s (%%)", m.Name, m.Task, name),
		header: []string{"Way", "Model"},
		words:  2,
	}
	if len(list) == 0 {
		return t
	}
	keeps := budgets(all)
	other := false
	for _, c := range list {
		for _, f := range c.figures {
			if f.Keep != nil {
				keeps = append(keeps, *f.Keep)
			}
			other = other || f.Keep == nil
		}
	}
	keeps = descending(keeps)
	for _, keep := range keeps {
		t.header = append(t.header, "keep "+three(keep))
	}
	if other {
		t.header = append(t.header, "other settings")
	}
	for _, c := range list {
		row := []string{c.method + ", published", c.model}
		for _, keep := range keeps {
			row = append(row, c.at(keep))
		}
		if other {
			row = append(row, c.elsewhere())
		}
		t.add(row...)
	}
	dense := metricOf(m.Metrics, name)
	for _, s := range all {
		row := []string{s.label, m.Name}
		for _, keep := range keeps {
			value, _ := s.at(keep, name)
			row = append(row, withDrop(value, dropOf(dense, value)))
		}
		if other {
			row = append(row, notAvailable)
		}
		t.add(row...)
	}
	t.note = publishedNote(list, name)
	return t
}

// at writes the figures at one budget.
func (c cited) at(keep float64) string {
	var value, drop *float64
	for _, f := range c.figures {
		if f.Keep == nil || *f.Keep != keep {
			continue
		}
		if f.Value != nil {
			value = fraction(*f.Value)
		}
		if f.Drop != nil {
			drop = fraction(*f.Drop)
		}
	}
	return withDrop(value, drop)
}

// elsewhere writes the figures that belong to no budget.
func (c cited) elsewhere() string {
	var words []string
	for _, f := range c.figures {
		if f.Keep != nil {
			continue
		}
		if f.Value != nil {
			words = append(words, strconv.FormatFloat(*f.Value, 'f', 2, 64)+" at "+f.Setting)
		}
	}
	if len(words) == 0 {
		return notAvailable
	}
	return strings.Join(words, "; ")
}

func fraction(percent float64) *float64 {
	v := percent / 100
	return &v
}

// dropOf is how far a figure is below the dense model's.
func dropOf(dense *record.Metric, value *float64) *float64 {
	if dense == nil || dense.Value == nil || value == nil {
		return nil
	}
	d := *dense.Value - *value
	return &d
}

// withDrop writes a figure in percent and how far it is below the dense
// model's.
func withDrop(value, drop *float64) string {
	switch {
	case value == nil && drop == nil:
		return notAvailable
	case drop == nil:
		return percent(*value)
	case value == nil:
		return "(" + points(-*drop) + ")"
	}
	return percent(*value) + " (" + points(-*drop) + ")"
}

// publishedNote says where the figures are from and what they are.
func publishedNote(list []cited, name string) string {
	var sources []string
	unnamed, different := false, false
	for _, c := range list {
		for _, f := range c.figures {
			text := f.Source
			if f.Within > 0 {
				text += " (within " + three(f.Within) + " points)"
			}
			if !slices.Contains(sources, text) {
				sources = append(sources, text)
			}
			unnamed = unnamed || f.Metric == "" && !f.Missing
			different = different || f.Metric != "" && f.Metric != name
		}
	}
	note := "In brackets: points from the dense model. Figures of another model are no yardstick for ours, only its neighbourhood."
	if unnamed {
		note += " Some sources do not name their metric."
	}
	if different {
		note += " Some published figures are by another metric than ours."
	}
	return note + " Sources: " + strings.Join(sources, "; ") + "."
}

// dropFigure draws how far ours and published figures fall below the dense
// model against the MACs that are kept. Nil if there is nothing of ours to draw.
func dropFigure(m *record.Model, all []series, name string) *figure {
	p := newPlot("Encoder MACs kept (% of dense)", strings.ToUpper(name[:1])+name[1:]+", points below dense")
	f := &figure{
		title: fmt.Sprintf("%s on %s: points of %s lost by pruning", m.Name, m.Task, name),
		width: 16 * vg.Centimeter, height: 11 * vg.Centimeter,
		body: func(c draw.Canvas) { p.Draw(c) },
	}
	box := newBounds()
	box.add(100, 0)
	entry := func(line curve, rank int, label string) {
		if len(line.XYs) == 0 {
			return
		}
		for _, q := range line.XYs {
			box.add(q.X, q.Y)
		}
		line.bars(p, rank)
		line.draw(p, rank)
		style, mark := line.style(rank), glyph(rank)
		f.legend = append(f.legend, sample{label: label, line: &style, glyph: &mark})
	}
	dense := metricOf(m.Metrics, name)
	for _, s := range all {
		line := curve{dashes: s.rank >= hues}
		for _, q := range s.points {
			value, plusMinus := q.quality(name)
			x, drop := q.average(keptEncoder), dropOf(dense, value)
			if x == nil || drop == nil {
				continue
			}
			err := math.NaN()
			if plusMinus != nil && len(q.runs) > 1 {
				err = 100 * *plusMinus
			}
			line.add(100**x, 100**drop, err)
		}
		entry(line, s.rank, s.label)
	}
	if len(f.legend) == 0 {
		return nil
	}
	for i, c := range citedOn(m.Task) {
		line := curve{dashes: true}
		for _, g := range c.figures {
			if g.Keep != nil && g.Drop != nil {
				line.add(100**g.Keep, *g.Drop, math.NaN())
			}
		}
		entry(line, len(all)+i, fmt.Sprintf("%s on %s, published", c.method, c.model))
	}
	p.X.Min, p.X.Max = wider(box.left, box.right, 0.03)
	p.Y.Min, p.Y.Max = wider(box.bottom, box.top, 0.06)
	style := dashed(ink, 1.1)
	level(p, 0, style)
	f.legend = append(f.legend, sample{label: "dense", line: &style})
	return f
}
