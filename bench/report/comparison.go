package report

import (
	"fmt"
	"slices"
	"strings"

	"optin/bench/record"
)

// rival is another way of pruning that runs are compared with by a metric.
type rival struct{ against, metric string }

// comparisonNote says what the cells of a comparison are.
const comparisonNote = "Difference on the same examples, above 0 where the way is better, and its 95 % interval (paired bootstrap over the examples)."

// denseTable sets the runs of a model against the dense model on the same
// examples.
func denseTable(rec *record.Record, m *record.Model) table {
	t, _ := compared(rec, m, "paired comparisons with the dense model (points)", func(_ series, rv rival) bool { return rv.against == record.Dense })
	t.note = comparisonNote
	return t
}

// comparisonTable sets the runs of a model against other ways of pruning it with
// the same rebuild, on the same examples. Its note names every case where a way is
// worse beyond the interval.
func comparisonTable(rec *record.Record, m *record.Model) table {
	ways := waysByName(rec)
	t, lost := compared(rec, m, "paired comparisons, with the same rebuild (points)", func(s series, rv rival) bool {
		w, ok := ways[rv.against]
		return ok && w.rebuild == s.way.rebuild
	})
	t.note = comparisonNote + " The first way is nowhere worse beyond the interval."
	if len(lost) > 0 {
		t.note = comparisonNote + " Worse beyond the interval: " + strings.Join(lost, "; ") + "."
	}
	return t
}

// compared is a table of comparisons with some rivals, and the cases that are
// worse.
func compared(rec *record.Record, m *record.Model, title string, with func(series, rival) bool) (t table, lost []string) {
	all := seriesOf(rec, m.Name)
	keeps := budgets(all)
	t = table{
		title:  fmt.Sprintf("%s on %s: %s", m.Name, m.Task, title),
		header: []string{"Way", "Against", "Metric"},
		words:  3,
	}
	for _, keep := range keeps {
		t.header = append(t.header, "keep "+three(keep))
	}
	t.header = append(t.header, "Mean")
	ways := waysByName(rec)
	_, names := labels(rec)
	for _, s := range all {
		for _, rv := range s.rivals() {
			if !with(s, rv) {
				continue
			}
			name := rv.against
			if w, ok := ways[rv.against]; ok {
				name = names[w]
			}
			row := []string{s.label, name, rv.metric}
			var means []*float64
			for _, keep := range keeps {
				list := s.comparisons(keep, rv)
				row = append(row, comparisonCell(list))
				if d := meanDifference(list); d != nil {
					means = append(means, d)
				}
				if slices.ContainsFunc(list, record.Comparison.Worse) {
					lost = append(lost, fmt.Sprintf("%s against %s at keep %s by %s", s.label, name, three(keep), rv.metric))
				}
			}
			t.add(append(row, show(mean(means), points))...)
		}
	}
	return t, lost
}

// points writes a difference of fractions in points of percent.
func points(v float64) string { return signed(100*v, 2) }

// waysByName are the ways of a record by what [record.Comparison] calls them.
func waysByName(rec *record.Record) map[string]way {
	out := map[string]way{}
	for i := range rec.Runs {
		out[rec.Runs[i].Way()] = wayOf(&rec.Runs[i])
	}
	return out
}

// rivals are what the runs of a series are compared with, in order.
func (s series) rivals() []rival {
	var out []rival
	for _, p := range s.points {
		for _, r := range p.runs {
			for _, c := range r.Comparisons {
				if rv := (rival{c.Against, c.Metric}); !slices.Contains(out, rv) {
					out = append(out, rv)
				}
			}
		}
	}
	return out
}

// comparisons are those at one budget, one for each seed.
func (s series) comparisons(keep float64, rv rival) []record.Comparison {
	var out []record.Comparison
	for _, p := range s.points {
		if p.keep != keep {
			continue
		}
		for _, r := range p.runs {
			for _, c := range r.Comparisons {
				if (rival{c.Against, c.Metric}) == rv {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

func meanDifference(list []record.Comparison) *float64 {
	var values []*float64
	for i := range list {
		values = append(values, &list[i].Difference)
	}
	return mean(values)
}

// comparisonCell writes the comparison at one budget: with its interval, or of
// several seeds the mean and how many of them decide.
func comparisonCell(list []record.Comparison) string {
	better, worse := 0, 0
	for _, c := range list {
		if c.Better() {
			better++
		}
		if c.Worse() {
			worse++
		}
	}
	switch len(list) {
	case 0:
		return notAvailable
	case 1:
		text := fmt.Sprintf("%s (%s to %s)", points(list[0].Difference), points(list[0].Low), points(list[0].High))
		if better > 0 {
			text += " better"
		}
		if worse > 0 {
			text += " worse"
		}
		return text
	}
	return fmt.Sprintf("%s (%d seeds: %d better, %d worse)", points(*meanDifference(list)), len(list), better, worse)
}
