package report

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// remainsFigure draws the share of heads and neurons that each layer keeps, a
// panel for each budget. Of several seeds it shows the first. Nil if the record
// does not say.
func remainsFigure(m *record.Model, s series) *figure {
	type budget struct {
		keep           float64
		heads, neurons []float64
	}
	var list []budget
	for _, q := range s.points {
		r := q.runs[0]
		if len(r.Heads) > 0 && len(r.Heads) == len(m.Heads) && len(r.Neurons) == len(m.Neurons) {
			list = append(list, budget{q.keep, shares(r.Heads, m.Heads), shares(r.Neurons, m.Neurons)})
		}
	}
	if len(list) == 0 {
		return nil
	}
	const columns = 2
	rows := (len(list) + columns - 1) / columns
	return &figure{
		title: fmt.Sprintf("%s on %s: what remains after pruning by %s", m.Name, m.Task, s.label),
		width: 18 * vg.Centimeter, height: vg.Length(rows)*4.4*vg.Centimeter + 1.9*vg.Centimeter,
		legend: []sample{{label: "heads", fill: hue(0)}, {label: "neurons", fill: hue(4)}},
		body: func(c draw.Canvas) {
			grid := make([][]*plot.Plot, rows)
			for i := range grid {
				grid[i] = make([]*plot.Plot, columns)
			}
			for i, b := range list {
				x, y := "", ""
				if i%columns == 0 {
					y = "Kept (%)"
				}
				if i >= len(list)-columns {
					x = "Layer"
				}
				grid[i/columns][i%columns] = panel(b.keep, b.heads, b.neurons, x, y)
			}
			tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 14, PadY: 12}
			for i, canvases := range plot.Align(grid, tiles, c) {
				for j, p := range grid[i] {
					if p != nil {
						p.Draw(canvases[j])
					}
				}
			}
		},
	}
}

// panel is the bars of one budget.
func panel(keep float64, heads, neurons []float64, x, y string) *plot.Plot {
	p := newPlot(x, y)
	p.Title.Text = "keep " + three(keep)
	p.Add(&layerBars{heads, -0.41, hue(0)}, &layerBars{neurons, 0.01, hue(4)})
	p.X.Min, p.X.Max = -0.6, float64(max(len(heads), len(neurons)))-0.4
	p.Y.Min, p.Y.Max = 0, 100
	p.Y.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 25}, {Value: 50, Label: "50"}, {Value: 75}, {Value: 100, Label: "100"}}
	p.X.Tick.Marker = layerTicks(len(heads))
	p.X.Tick.Length, p.X.Tick.LineStyle.Color = 3, color.Transparent // room only
	p.X.Padding, p.Y.Padding = 0, 0
	return p
}

// layerTicks labels layers, as many as stay legible.
func layerTicks(n int) plot.ConstantTicks {
	step := int(math.Ceil(float64(n) / 24))
	var ticks plot.ConstantTicks
	for i := 0; i < n; i += step {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: strconv.Itoa(i)})
	}
	return ticks
}

// shares is what remains of each layer, in percent; NaN where there was nothing.
func shares(kept, of []int) []float64 {
	out := make([]float64, len(kept))
	for i := range out {
		out[i] = 100 * float64(kept[i]) / float64(of[i])
		if of[i] == 0 {
			out[i] = math.NaN()
		}
	}
	return out
}
