package prune

import (
	"fmt"
	"math"
)

// Correction is how a budget of latency was met.
type Correction struct {
	Target    float64           // share of the dense model's latency that was asked for
	Predicted float64           // of the chosen result, by the table
	Measured  float64           // of the chosen result
	Met       bool              // Measured is near enough to Target
	Stopped   string            // why no further budget was tried; "" if Met
	Rounds    []CorrectionRound // in order
}

// CorrectionRound is one search and what came of it, all shares of the dense
// model's latency.
type CorrectionRound struct{ Budget, Predicted, Measured float64 }

// near is how far the measured latency may be from the target.
const near = 0.03

// Correct searches under a budget of latency, measures what was found, and
// moves the budget until the measured share is within 3 % of target, at most the
// given number of rounds. Of what it has found it returns the result that was
// measured nearest to target.
//
// search finds something for a budget and says what the table predicts of it,
// measured says what it takes; all are shares of the dense model's latency, and
// so is what moves: the budget of the next round is a line's through the two
// rounds nearest to the target, in proportion at first. Where a search fails
// after the first has not, or a budget would repeat one, the loop ends.
func Correct[T any](target float64, rounds int,
	search func(budget float64) (found T, predicted float64, err error),
	measured func(T) (float64, error),
) (T, Correction, error) {
	var chosen T
	c := Correction{Target: target}
	budget := target
	for range max(1, rounds) {
		found, predicted, err := search(budget)
		if err != nil && len(c.Rounds) > 0 {
			c.Stopped = err.Error()
			return chosen, c, nil
		}
		if err != nil {
			return chosen, c, err
		}
		took, err := measured(found)
		if err != nil {
			return chosen, c, err
		}
		if !(took > 0) {
			return chosen, c, fmt.Errorf("a measured latency of %v of the dense model's", took)
		}
		if len(c.Rounds) == 0 || off(took, target) < off(c.Measured, target) {
			chosen, c.Predicted, c.Measured = found, predicted, took
		}
		c.Rounds = append(c.Rounds, CorrectionRound{budget, predicted, took})
		if c.Met = off(c.Measured, target) <= near; c.Met {
			return chosen, c, nil
		}
		if budget = c.next(); c.tried(budget) {
			c.Stopped = fmt.Sprintf("a budget of %.4g has been tried", budget)
			return chosen, c, nil
		}
	}
	c.Stopped = fmt.Sprintf("%d rounds were allowed", len(c.Rounds))
	return chosen, c, nil
}

// off is the relative distance of a measured share from the target.
func off(took, target float64) float64 { return math.Abs(took/target - 1) }

// next is the budget to try, at most 1: all there is.
func (c *Correction) next() float64 {
	if a, b, ok := c.nearest(); ok {
		budget := a.Budget + (c.Target-a.Measured)*(b.Budget-a.Budget)/(b.Measured-a.Measured)
		if budget > 0 {
			return min(1, budget)
		}
	}
	last := c.Rounds[len(c.Rounds)-1]
	return min(1, last.Budget*c.Target/last.Measured)
}

// nearest is the two rounds that were measured nearest to the target; not ok if
// a larger budget did not take longer.
func (c *Correction) nearest() (a, b CorrectionRound, ok bool) {
	if len(c.Rounds) < 2 {
		return a, b, false
	}
	a, b = c.Rounds[0], c.Rounds[1]
	for _, r := range c.Rounds[2:] {
		if off(a.Measured, c.Target) > off(b.Measured, c.Target) {
			a, b = b, a
		}
		if off(r.Measured, c.Target) < off(b.Measured, c.Target) {
			b = r
		}
	}
	return a, b, (b.Budget-a.Budget)*(b.Measured-a.Measured) > 0
}

func (c *Correction) tried(budget float64) bool {
	for _, r := range c.Rounds {
		if math.Abs(r.Budget-budget) < 1e-6 {
			return true
		}
	}
	return false
}
