package metric

import (
	"fmt"
	"slices"
)

// Predictions are what a model said of each example, beside the truth, in the
// order the examples were added. Two models' predictions of the same examples
// can be compared: see [PairedBootstrap].
type Predictions struct {
	Classes  int       `json:"classes"`           // 0 for a regression
	Positive int       `json:"positive"`          // the class whose F1 is meant; -1 for the mean over classes
	Labels   []int     `json:"labels,omitempty"`  // class of each example
	Guesses  []int     `json:"guesses,omitempty"` // class predicted for it
	Targets  []float64 `json:"targets,omitempty"` // of a regression
	Values   []float64 `json:"values,omitempty"`  // predicted by a regression
}

// Predictions returns what has been added so far. The slices are the
// accumulator's own.
func (a *Accumulator) Predictions() Predictions {
	return Predictions{Classes: a.classes, Positive: a.counts.positive,
		Labels: a.labels, Guesses: a.guesses, Targets: a.want, Values: a.got}
}

// N is the number of examples.
func (p Predictions) N() int { return len(p.Labels) + len(p.Targets) }

// pairs says why two models' predictions are not of the same examples.
func (p Predictions) pairs(q Predictions) error {
	switch {
	case p.N() != q.N():
		return fmt.Errorf("metric: predictions of %d and of %d examples are no pairs", p.N(), q.N())
	case p.N() == 0:
		return fmt.Errorf("metric: no predictions to compare")
	case p.Classes != q.Classes || p.Positive != q.Positive || len(p.Guesses) != len(q.Guesses) || len(p.Values) != len(q.Values):
		return fmt.Errorf("metric: predictions of %d and of %d classes are no pairs", p.Classes, q.Classes)
	case !slices.Equal(p.Labels, q.Labels) || !slices.Equal(p.Targets, q.Targets):
		return fmt.Errorf("metric: predictions of different examples, or in different orders, are no pairs")
	}
	return nil
}
