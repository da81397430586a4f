package report

import (
	"fmt"
	"slices"

	"optin/bench/record"
)

// overallTable averages each model's headline figure over all models, for the
// ways and budgets that every model has. It has no rows for a single model, nor
// where nothing was removed.
func overallTable(rec *record.Record) table {
	t := table{
		title: fmt.Sprintf("Mean over the %d models (%%)", len(rec.Models)),
		note: "Each model's first metric, averaged; in brackets points from the dense models. Of several seeds, their mean. " +
			"Only what every model has is averaged.",
		header: []string{"Way"},
		words:  1,
	}
	if len(rec.Models) < 2 {
		return t
	}
	perModel := make([][]series, len(rec.Models))
	var every []series
	for i := range rec.Models {
		perModel[i] = seriesOf(rec, rec.Models[i].Name)
		every = append(every, perModel[i]...)
	}
	keeps := budgets(every)
	if whole(keeps) {
		return t
	}
	for _, keep := range keeps {
		t.header = append(t.header, "keep "+three(keep))
	}
	t.header = append(t.header, "Mean")
	ways, names := labels(rec)
	for _, w := range ways {
		row := []string{names[w]}
		var values, drops []*float64
		for _, keep := range keeps {
			value, drop := overall(rec, perModel, w, keep)
			row = append(row, withDrop(value, drop))
			values, drops = append(values, value), append(drops, drop)
		}
		if !slices.ContainsFunc(values, func(v *float64) bool { return v != nil }) {
			continue
		}
		t.add(append(row, withDrop(mean(values), mean(drops)))...)
	}
	return t
}

// overall averages one way at one budget; nil where a model lacks it.
func overall(rec *record.Record, perModel [][]series, w way, keep float64) (value, drop *float64) {
	var values, drops []*float64
	for i, list := range perModel {
		m := &rec.Models[i]
		var v, d *float64
		if len(m.Metrics) > 0 {
			for _, s := range list {
				if s.way == w {
					v, _ = s.at(keep, m.Metrics[0].Name)
				}
			}
			d = dropOf(&m.Metrics[0], v)
		}
		values, drops = append(values, v), append(drops, d)
	}
	return mean(values), mean(drops)
}
