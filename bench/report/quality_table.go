package report

import (
	"fmt"
	"slices"

	"optin/bench/record"
)

// sideBySide is how many ways of pruning have a column each; more than that have
// rows.
const sideBySide = 6

// qualityTable compares the ways of pruning by a metric.
func qualityTable(rec *record.Record, m *record.Model, name string) table {
	all := seriesOf(rec, m.Name)
	t := table{
		title: fmt.Sprintf("%s on %s: %s after pruning (%%)", m.Name, m.Task, name),
		note:  "± is the standard error over the examples",
		words: 1,
	}
	if m.Split != "" {
		t.note += " of the " + m.Split + " split"
	}
	t.note += "."
	if slices.ContainsFunc(all, func(s series) bool { return s.seeds() > 1 }) {
		t.note += " Over several seeds: mean ± standard deviation."
	}
	dense := notAvailable
	if d := metricOf(m.Metrics, name); d != nil {
		dense = withError(d.Value, d.StdErr)
	}
	if len(all) > sideBySide {
		byRows(&t, all, name, dense)
	} else {
		byColumns(&t, all, name, dense)
	}
	return t
}

// byColumns gives each way a column and each budget a row.
func byColumns(t *table, all []series, name, dense string) {
	t.header = []string{"Keep"}
	row := []string{"dense"}
	for _, s := range all {
		t.header, row = append(t.header, s.labelWithSeeds()), append(row, dense)
	}
	t.add(row...)
	for _, keep := range budgets(all) {
		row := []string{three(keep)}
		for _, s := range all {
			row = append(row, s.cell(keep, name))
		}
		t.add(row...)
	}
}

// byRows gives each way a row and each budget a column, with the mean over the
// budgets.
func byRows(t *table, all []series, name, dense string) {
	t.header = []string{"Way"}
	row := []string{"dense"}
	keeps := budgets(all)
	for _, keep := range keeps {
		t.header, row = append(t.header, "keep "+three(keep)), append(row, dense)
	}
	t.header = append(t.header, "Mean")
	t.add(append(row, dense)...)
	for _, s := range all {
		row := []string{s.labelWithSeeds()}
		var values []*float64
		for _, keep := range keeps {
			value, _ := s.at(keep, name)
			row, values = append(row, s.cell(keep, name)), append(values, value)
		}
		t.add(append(row, show(mean(values), percent))...)
	}
}

// labelWithSeeds is the label with the number of seeds, if there are several.
func (s series) labelWithSeeds() string {
	if n := s.seeds(); n > 1 {
		return fmt.Sprintf("%s (%d seeds)", s.label, n)
	}
	return s.label
}

// cell writes a metric at one budget.
func (s series) cell(keep float64, name string) string {
	for _, p := range s.points {
		if p.keep != keep {
			continue
		}
		text := withError(p.quality(name))
		if !p.valid() {
			text += " INVALID"
		}
		return text
	}
	return notAvailable
}

// budgets are those of some series, from the largest down.
func budgets(all []series) []float64 {
	var out []float64
	for _, s := range all {
		for _, p := range s.points {
			out = append(out, p.keep)
		}
	}
	return descending(out)
}

// whole reports whether budgets remove nothing.
func whole(keeps []float64) bool { return len(keeps) == 0 || keeps[len(keeps)-1] == 1 }
