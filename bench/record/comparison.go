package record

import "strings"

// Dense is what the dense model is called in a comparison.
const Dense = "dense"

// Comparison sets a run against another one on the same examples: the
// difference of a metric, and the interval that holds the true difference with
// a confidence of 95 %, by resampling examples (pairs of predictions).
type Comparison struct {
	Against    string  `json:"against"`    // [Run.Way] of the other run, whose model, keep and seed are this run's; or Dense
	Metric     string  `json:"metric"`     // name of the metric
	Difference float64 `json:"difference"` // of this run less the other: above 0, this run is better
	Low        float64 `json:"low"`        // lower end of the interval
	High       float64 `json:"high"`       // upper end of the interval
	N          int     `json:"n"`          // examples
}

// Better reports whether all of the interval is above 0.
func (c Comparison) Better() bool { return c.Low > 0 }

// Worse reports whether all of the interval is below 0.
func (c Comparison) Worse() bool { return c.High < 0 }

// Way names how a run was pruned: score, search and rebuild, as
// "trajectory/additive/none", then what else tells it from others, as
// "trajectory/additive/none lambda=0.1 by params". It is the same for every
// budget and seed.
func (r *Run) Way() string {
	way := strings.Join([]string{r.Method, r.Search, r.Rebuild}, "/")
	if r.Variant != "" {
		way += " " + r.Variant
	}
	if r.Constraint != "" && r.Constraint != "macs" {
		way += " by " + r.Constraint
	}
	return way
}
