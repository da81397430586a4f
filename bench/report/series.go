package report

import (
	"cmp"
	"slices"
	"strings"

	"optin/bench/record"
)

// series are the runs of one way of pruning one model, over all budgets.
type series struct {
	label  string
	way    way
	rank   int // among the labels of the record: decides colour and shape
	points []point
}

// point is one budget of a series: a run for each seed.
type point struct {
	keep float64
	runs []*record.Run
}

// way is what tells series apart.
type way struct{ method, variant, search, rebuild, constraint string }

func wayOf(r *record.Run) way {
	return way{r.Method, r.Variant, r.Search, r.Rebuild, r.Constraint}
}

// base is the way without its variant, as "trajectory/additive/none".
func (w way) base() string {
	return strings.Join([]string{cmp.Or(w.method, notAvailable), cmp.Or(w.search, notAvailable), cmp.Or(w.rebuild, notAvailable)}, "/")
}

// labels names the ways of pruning of a record, in the order of their first
// runs, by no more than tells them apart: the scores, or where searches or
// rebuilds differ scores, search and rebuild as "trajectory/joint/none".
func labels(rec *record.Record) (ways []way, names map[way]string) {
	differ := func(part func(way) string) bool {
		return slices.ContainsFunc(ways, func(w way) bool { return part(w) != part(ways[0]) })
	}
	for i := range rec.Runs {
		if w := wayOf(&rec.Runs[i]); !slices.Contains(ways, w) {
			ways = append(ways, w)
		}
	}
	search := differ(func(w way) string { return w.search })
	constraint := differ(func(w way) string { return w.constraint })
	names = map[way]string{}
	for _, w := range ways {
		name := cmp.Or(w.method, notAvailable)
		rebuilt := w.rebuild != "none" && w.rebuild != ""
		if search || rebuilt || differ(func(w way) string { return w.rebuild }) {
			name = w.base()
		}
		if w.variant != "" {
			name += ", " + w.variant
		}
		if constraint && w.constraint != "macs" {
			name += ", by " + w.constraint
		}
		names[w] = name
	}
	return ways, names
}

// seriesOf returns the series of one model, each from the largest budget down.
func seriesOf(rec *record.Record, model string) []series {
	ways, names := labels(rec)
	var out []series
	for rank, w := range ways {
		s := series{label: names[w], way: w, rank: rank}
		for i := range rec.Runs {
			r := &rec.Runs[i]
			if r.Model != model || wayOf(r) != w {
				continue
			}
			at := slices.IndexFunc(s.points, func(p point) bool { return p.keep == r.Keep })
			if at < 0 {
				at = len(s.points)
				s.points = append(s.points, point{keep: r.Keep})
			}
			s.points[at].runs = append(s.points[at].runs, r)
		}
		if len(s.points) == 0 {
			continue
		}
		slices.SortFunc(s.points, func(a, b point) int { return cmp.Compare(b.keep, a.keep) })
		out = append(out, s)
	}
	return out
}

// seeds is the largest number of seeds behind a point.
func (s series) seeds() int {
	n := 0
	for _, p := range s.points {
		n = max(n, len(p.runs))
	}
	return n
}

// each collects one figure of every run of a point.
func (p point) each(figure func(*record.Run) *float64) []*float64 {
	out := make([]*float64, len(p.runs))
	for i, r := range p.runs {
		out[i] = figure(r)
	}
	return out
}

// average is the mean of a figure over the seeds.
func (p point) average(figure func(*record.Run) *float64) *float64 { return mean(p.each(figure)) }

// valid reports whether every run of the point is.
func (p point) valid() bool {
	return !slices.ContainsFunc(p.runs, func(r *record.Run) bool { return !r.Verdict.Valid })
}

// quality is a metric at a point: its mean over seeds, and what to expect of
// its error: the standard error of the one run, or the spread over several.
func (p point) quality(name string) (value, plusMinus *float64) {
	values := p.each(func(r *record.Run) *float64 {
		if m := metricOf(r.Metrics, name); m != nil {
			return m.Value
		}
		return nil
	})
	if len(p.runs) > 1 {
		return mean(values), spread(values)
	}
	if m := metricOf(p.runs[0].Metrics, name); m != nil {
		return m.Value, m.StdErr
	}
	return nil, nil
}

// metricOf finds a metric by its name.
func metricOf(list []record.Metric, name string) *record.Metric {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// metricNames are those of a model: of the dense one, then of its runs.
func metricNames(rec *record.Record, m *record.Model) []string {
	var names []string
	add := func(list []record.Metric) {
		for _, x := range list {
			if !slices.Contains(names, x.Name) {
				names = append(names, x.Name)
			}
		}
	}
	add(m.Metrics)
	for i := range rec.Runs {
		if rec.Runs[i].Model == m.Name {
			add(rec.Runs[i].Metrics)
		}
	}
	return names
}

func keptEncoder(r *record.Run) *float64 { return r.KeptEncoderMACs }
func keptModel(r *record.Run) *float64   { return r.KeptModelMACs }
func keptParams(r *record.Run) *float64  { return r.KeptParams }

// descending sorts some numbers and drops repeated ones.
func descending(v []float64) []float64 {
	slices.SortFunc(v, func(a, b float64) int { return cmp.Compare(b, a) })
	return slices.Compact(v)
}
