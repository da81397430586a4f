package report

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// columnsAtMost is how many columns a heat map has; more units than that share
// one, which takes their median.
const columnsAtMost = 128

// scoreFigure draws the scores of heads and of neurons, a row for each layer:
// heads by index, neurons from the highest score down, each kind on a scale of
// its own. Nil if there are none.
func scoreFigure(m *record.Model, s *record.Scores, label string) *figure {
	var maps []*heatMap
	for _, kind := range []string{record.Heads, record.Neurons} {
		if h := newHeatMap(s.Sites, kind); h != nil {
			maps = append(maps, h)
		}
	}
	if len(maps) == 0 {
		return nil
	}
	layers := 0
	for _, h := range maps {
		layers = max(layers, h.layers)
	}
	f := &figure{
		title: fmt.Sprintf("%s on %s: scores by %s", m.Name, m.Task, label),
		width: 20 * vg.Centimeter,
		height: vg.Length(min(max(4.8, 0.42*float64(layers)), 11))*vg.Centimeter +
			2.9*vg.Centimeter,
	}
	if slices.ContainsFunc(maps, func(h *heatMap) bool { return h.scale.zeros }) {
		f.legend = []sample{{label: "score of 0", fill: zeroFill}}
	}
	f.body = func(c draw.Canvas) {
		width := (c.Max.X - c.Min.X) / vg.Length(len(maps))
		for i, h := range maps {
			part := c
			part.Min.X = c.Min.X + vg.Length(i)*width
			part.Max.X = part.Min.X + width - 6
			h.drawWithBar(part)
		}
	}
	return f
}

// heatMap is the scores of one kind.
type heatMap struct {
	kind   string
	layers int // rows, from 0
	cells  [][]float64
	units  int // at most, in a layer
	scale  scale
}

// newHeatMap gathers the sites of a kind; nil if there are none.
func newHeatMap(sites []record.Site, kind string) *heatMap {
	h := &heatMap{kind: kind}
	var all []float64
	for _, s := range sites {
		if s.Kind != kind || s.Layer < 0 || len(s.Values) == 0 {
			continue
		}
		h.layers = max(h.layers, s.Layer+1)
		h.units = max(h.units, len(s.Values))
		all = append(all, s.Values...)
	}
	if len(all) == 0 {
		return nil
	}
	h.cells = make([][]float64, h.layers)
	for _, s := range sites {
		if s.Kind != kind || s.Layer < 0 {
			continue
		}
		values := slices.Clone(s.Values)
		if kind == record.Neurons {
			values = descendingOf(values)
		}
		h.cells[s.Layer] = append(h.cells[s.Layer], squeeze(values, h.units)...)
	}
	h.scale = newScale(all)
	return h
}

// descendingOf sorts from the highest down, repeated values included.
func descendingOf(v []float64) []float64 {
	slices.Sort(v)
	slices.Reverse(v)
	return v
}

// squeeze takes the median of units that share a column, when the longest layer
// has more than columnsAtMost.
func squeeze(values []float64, longest int) []float64 {
	if longest <= columnsAtMost {
		return values
	}
	share := float64(longest) / columnsAtMost
	var out []float64
	for i := 0; ; i++ {
		from, to := int(float64(i)*share), int(float64(i+1)*share)
		if from >= len(values) {
			return out
		}
		group := slices.Sorted(slices.Values(values[from:min(to, len(values))]))
		out = append(out, group[len(group)/2])
	}
}

// drawWithBar draws the map, and its scale to the right.
func (h *heatMap) drawWithBar(c draw.Canvas) {
	x, title := "Head", "Heads"
	if h.kind == record.Neurons {
		x, title = "Neurons, highest score first", "Neurons"
	}
	p := newPanel(x, "Layer")
	p.Title.Text = title + ": " + h.scale.title()
	columns := min(h.units, columnsAtMost)
	p.Add(&cellPlotter{h.cells, h.scale})
	p.X.Min, p.X.Max = -0.5, float64(columns)-0.5
	p.Y.Min, p.Y.Max = -0.5, float64(h.layers)-0.5
	p.Y.Tick.Marker = layerTicks(h.layers)
	p.X.Tick.Marker = unitTicks(h.units, columns)
	p.X.Tick.Length, p.Y.Tick.Length = 3, 0
	p.X.LineStyle.Width, p.Y.LineStyle.Width = 0, 0
	p.X.Padding, p.Y.Padding = 0, 0

	bar := newPanel("", "")
	bar.Add(&barPlotter{})
	bar.X.Min, bar.X.Max, bar.Y.Min, bar.Y.Max = 0, 1, 0, 1
	bar.HideX()
	bar.Y.Tick.Marker = h.scale.ticks()
	bar.Y.LineStyle.Width, bar.Y.Padding = 0, 0

	const barRoom = 50 // points
	left, right := c, c
	left.Max.X -= barRoom + 6
	right.Min.X = c.Max.X - barRoom
	row := plot.Align([][]*plot.Plot{{p}}, draw.Tiles{Rows: 1, Cols: 1}, left)
	side := plot.Align([][]*plot.Plot{{bar}}, draw.Tiles{Rows: 1, Cols: 1}, right)
	// The bar is as high as the map.
	inner := p.DataCanvas(row[0][0])
	own := bar.DataCanvas(side[0][0])
	side[0][0].Min.Y += inner.Min.Y - own.Min.Y
	side[0][0].Max.Y += inner.Max.Y - own.Max.Y
	p.Draw(row[0][0])
	bar.Draw(side[0][0])
}

// unitTicks labels a few units at their columns.
func unitTicks(units, columns int) plot.ConstantTicks {
	step := 1
	for _, s := range []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000} {
		if step = s; units <= 8*s {
			break
		}
	}
	var ticks plot.ConstantTicks
	for u := 0; u < units; u += step {
		at := float64(u)
		if columns < units {
			at = float64(u)*float64(columns)/float64(units) - 0.5
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: fmt.Sprint(u)})
	}
	return ticks
}
