package report

import (
	"slices"
	"strconv"

	"optin/bench/record"
)

// timeTable says how long the stages took and how much memory, summed and
// maximized over budgets and seeds, and how many examples scores are of, where
// that was noted.
func timeTable(rec *record.Record) table {
	t := table{
		title:  "Time spent and memory",
		note:   "Scores are computed once for all budgets. Peaks are of tensors and packed weights.",
		header: []string{"Model", "Method"},
		words:  2,
	}
	noted := slices.ContainsFunc(rec.Runs, func(r record.Run) bool { return r.Calibration != nil })
	if noted {
		t.header = append(t.header, "Scored on")
		t.note += " Scored on: calibration examples that scores, and what the search estimates, are computed from."
	}
	var names []string
	for _, r := range rec.Runs {
		for _, s := range r.Stages {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	t.header = append(append(t.header, names...), "Peak, scoring", "Peak, inference")
	for i := range rec.Models {
		for _, s := range seriesOf(rec, rec.Models[i].Name) {
			row := []string{rec.Models[i].Name, s.label}
			if noted {
				row = append(row, examples(s))
			}
			for _, name := range names {
				row = append(row, show(stageSeconds(s, name), seconds))
			}
			scoring, inference := peaks(s)
			t.add(append(row, bytesOf(scoring), bytesOf(inference))...)
		}
	}
	return t
}

// examples is how many the scores of a series are of.
func examples(s series) string {
	if c := s.points[0].runs[0].Calibration; c != nil {
		return strconv.Itoa(c.Examples)
	}
	return notAvailable
}

// stageSeconds is the time a series spent in a stage; what was taken from an
// earlier run is counted once.
func stageSeconds(s series, name string) *float64 {
	var total, cached float64
	found, fresh := false, false
	for _, p := range s.points {
		for _, r := range p.runs {
			for _, x := range r.Stages {
				switch {
				case x.Name != name:
				case x.Cached:
					found, cached = true, max(cached, x.Seconds)
				default:
					found, fresh = true, true
					total += x.Seconds
				}
			}
		}
	}
	if !found {
		return nil
	}
	if !fresh {
		total = cached
	}
	return &total
}

// peaks are the largest of a series.
func peaks(s series) (scoring, inference *int64) {
	largest := func(to **int64, v *int64) {
		if v != nil && (*to == nil || *v > **to) {
			*to = v
		}
	}
	for _, p := range s.points {
		for _, r := range p.runs {
			if r.Memory != nil {
				largest(&scoring, r.Memory.ScoringBytes)
				largest(&inference, r.Memory.InferenceBytes)
			}
		}
	}
	return scoring, inference
}
