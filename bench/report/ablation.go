package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"optin/bench/record"
)

// ablation is a key of the experiment that was varied over numbers, and the
// ways of pruning one model that differ in it alone.
type ablation struct {
	key    string // such as "lambda"
	others string // the other keys of the variant; "" for none
	runs   []varied
	plain  *series // the way of the same search and rebuild that has no such key; nil if there is none
}

// varied is one value of the key.
type varied struct {
	value float64
	series
}

// valuesAtLeast is how many values make a curve.
const valuesAtLeast = 3

// setting is a key and its value, out of a variant.
type setting struct{ key, value string }

// settingsOf takes a variant such as "lambda=0.1 loss=md" apart.
func settingsOf(variant string) []setting {
	var out []setting
	for _, word := range strings.Fields(variant) {
		key, value, ok := strings.Cut(word, "=")
		if !ok && len(out) > 0 { // a value with a blank in it
			out[len(out)-1].value += " " + word
			continue
		}
		out = append(out, setting{key, value})
	}
	return out
}

// ablationsOf finds the keys that were varied over numbers, in the order of the
// series.
func ablationsOf(all []series) []ablation {
	var out []ablation
	for _, s := range all {
		list := settingsOf(s.way.variant)
		for i, x := range list {
			value, err := strconv.ParseFloat(x.value, 64)
			if err != nil {
				continue
			}
			var rest []string
			for j, y := range list {
				if j != i {
					rest = append(rest, y.key+"="+y.value)
				}
			}
			a := ablation{key: x.key, others: strings.Join(rest, " ")}
			at := slices.IndexFunc(out, func(b ablation) bool {
				return b.key == a.key && b.others == a.others && b.runs[0].way.alike(s.way)
			})
			if at < 0 {
				at = len(out)
				out = append(out, a)
			}
			out[at].runs = append(out[at].runs, varied{value, s})
		}
	}
	out = slices.DeleteFunc(out, func(a ablation) bool { return len(a.runs) < valuesAtLeast })
	for i := range out {
		a := &out[i]
		slices.SortStableFunc(a.runs, func(x, y varied) int { return cmp.Compare(x.value, y.value) })
		at := slices.IndexFunc(all, func(s series) bool {
			return s.way.variant == "" && s.way.alike(a.runs[0].way)
		})
		if at >= 0 {
			a.plain = &all[at]
		}
	}
	return out
}

// alike reports whether ways differ in no more than their variant.
func (w way) alike(other way) bool {
	w.variant, other.variant = "", ""
	return w == other
}

// logarithmic reports whether the values span more than a decade, none of them 0
// or below.
func (a ablation) logarithmic() bool {
	first, last := a.runs[0].value, a.runs[len(a.runs)-1].value
	return first > 0 && last > 10*first
}

// ablationFigure draws a metric against the key, a line for each budget; dashed
// is the way without the key. Nil if there is nothing to draw.
func ablationFigure(m *record.Model, a ablation, name string) *figure {
	p := newPlot(a.key, strings.ToUpper(name[:1])+name[1:]+" (%)")
	title := fmt.Sprintf("%s on %s: %s against %s, %s", m.Name, m.Task, name, a.key, a.runs[0].way.base())
	if a.others != "" {
		title += " " + a.others
	}
	f := &figure{title: title, width: 16 * vg.Centimeter, height: 11 * vg.Centimeter, body: func(c draw.Canvas) { p.Draw(c) }}
	box := newBounds()
	several := false
	for i, keep := range a.keeps() {
		line := a.curve(keep, name)
		if len(line.XYs) == 0 {
			continue
		}
		for j, q := range line.XYs {
			box.add(q.X, q.Y-orZero(line.low[j]))
			box.add(q.X, q.Y+orZero(line.high[j]))
		}
		several = several || a.seeds() > 1
		line.bars(p, i)
		line.draw(p, i)
		style, mark := solid(hue(i), 1.6), glyph(i)
		f.legend = append(f.legend, sample{label: "keep " + three(keep), line: &style, glyph: &mark})
	}
	if len(f.legend) == 0 {
		return nil
	}
	f.subtitle = "bars: one standard error over the examples"
	if several {
		f.subtitle = fmt.Sprintf("bars: one standard deviation over %d seeds", a.seeds())
	}
	dashes := a.levels(box, name)
	p.X.Min, p.X.Max = wider(box.left, box.right, 0.03)
	p.Y.Min, p.Y.Max = wider(box.bottom, box.top, 0.06)
	for i, y := range dashes {
		if !math.IsNaN(y) {
			level(p, y, dashed(hue(i), 1.1))
		}
	}
	if a.plain != nil {
		style := dashed(ink, 1.1)
		f.legend = append(f.legend, sample{label: "without " + a.key + ": " + a.plain.label, line: &style})
	}
	p.X.Tick.Marker = a.ticks()
	return f
}

// place is where a value stands on the axis.
func (a ablation) place(value float64) float64 {
	if a.logarithmic() {
		return math.Log10(value)
	}
	return value
}

// ticks labels each value.
func (a ablation) ticks() plot.ConstantTicks {
	var out plot.ConstantTicks
	for _, v := range a.runs {
		out = append(out, plot.Tick{Value: a.place(v.value), Label: strconv.FormatFloat(v.value, 'g', -1, 64)})
	}
	return out
}

// keeps are the budgets, from the largest down.
func (a ablation) keeps() []float64 {
	var all []series
	for _, v := range a.runs {
		all = append(all, v.series)
	}
	return budgets(all)
}

// seeds is the largest number of seeds behind a point.
func (a ablation) seeds() int {
	n := 0
	for _, v := range a.runs {
		n = max(n, v.series.seeds())
	}
	return n
}

// curve is a metric at one budget.
func (a ablation) curve(keep float64, name string) curve {
	var line curve
	for _, v := range a.runs {
		if y, e := v.at(keep, name); y != nil {
			err := math.NaN()
			if e != nil {
				err = 100 * *e
			}
			line.add(a.place(v.value), 100**y, err)
		}
	}
	return line
}

// at is a metric of a series at one budget; nil if it has none.
func (s series) at(keep float64, name string) (value, plusMinus *float64) {
	for _, p := range s.points {
		if p.keep == keep {
			return p.quality(name)
		}
	}
	return nil, nil
}

// levels are the figures at each budget without the key, NaN for none; the box
// grows to hold them.
func (a ablation) levels(box *bounds, name string) []float64 {
	var out []float64
	for _, keep := range a.keeps() {
		y := math.NaN()
		if a.plain != nil {
			if v, _ := a.plain.at(keep, name); v != nil {
				y = 100 * *v
				box.add(box.left, y)
			}
		}
		out = append(out, y)
	}
	return out
}
