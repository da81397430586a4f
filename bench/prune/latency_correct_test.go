package prune

import (
	"errors"
	"math"
	"testing"
)

// pretended stands in for searching and measuring: what a budget finds takes what
// takes says, and is refused below least.
type pretended struct {
	takes func(budget float64) float64
	least float64
}

func (p pretended) search(budget float64) (float64, float64, error) {
	if budget < p.least {
		return 0, 0, errors.New("cannot be met")
	}
	return budget, budget, nil
}

func (p pretended) measured(found float64) (float64, error) { return p.takes(found), nil }

func TestCorrection(t *testing.T) {
	same := func(x float64) float64 { return x }
	for _, c := range []struct {
		name   string
		target float64
		rounds int
		p      pretended
		met    bool
		used   int
	}{
		{"exact at once", 0.5, 5, pretended{takes: same}, true, 1},
		{"near enough", 0.5, 5, pretended{takes: func(x float64) float64 { return 1.029 * x }}, true, 1},
		{"in proportion", 0.5, 5, pretended{takes: func(x float64) float64 { return 1.2 * x }}, true, 2},
		{"a part that does not shrink", 0.4, 5, pretended{takes: func(x float64) float64 { return 0.2 + 0.8*x }}, true, 3},
		{"too fast", 0.6, 5, pretended{takes: func(x float64) float64 { return x * x }}, true, 4},
		{"steps", 0.5, 6, pretended{takes: func(x float64) float64 { return math.Ceil(x*9+1) / 10 }}, true, 2},
		{"few rounds", 0.4, 2, pretended{takes: func(x float64) float64 { return 0.2 + 0.8*x }}, false, 2},
		{"smallest is too slow", 0.3, 5, pretended{takes: func(x float64) float64 { return 0.3 + 0.5*x }, least: 0.1}, false, 3},
		{"all is fast", 0.9, 5, pretended{takes: func(x float64) float64 { return 0.5 * x }}, false, 2},
		{"nothing helps", 0.5, 4, pretended{takes: func(float64) float64 { return 0.8 }}, false, 4},
	} {
		found, got, err := Correct(c.target, c.rounds, c.p.search, c.p.measured)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Met != c.met || len(got.Rounds) != c.used || got.Met != (got.Stopped == "") {
			t.Errorf("%s: met %v after %d rounds (%q), want %v after %d: %v", c.name, got.Met, len(got.Rounds), got.Stopped, c.met, c.used, got.Rounds)
		}
		if got.Met && !(math.Abs(got.Measured/c.target-1) <= 0.03) {
			t.Errorf("%s: measured %v", c.name, got.Measured)
		}
		if got.Predicted != found || got.Measured != c.p.takes(found) {
			t.Errorf("%s: returns %v, says predicted %v, measured %v", c.name, found, got.Predicted, got.Measured)
		}
		for _, r := range got.Rounds {
			if off(r.Measured, c.target) < off(got.Measured, c.target) {
				t.Errorf("%s: %v was nearer than %v", c.name, r.Measured, got.Measured)
			}
		}
	}
}

func TestCorrectionFails(t *testing.T) {
	p := pretended{takes: func(x float64) float64 { return x }, least: 0.6}
	if _, _, err := Correct(0.5, 3, p.search, p.measured); err == nil {
		t.Error("the first search failed, and no one says so")
	}
	p.least = 0
	broken := func(float64) (float64, error) { return 0, errors.New("no clock") }
	if _, _, err := Correct(0.5, 3, p.search, broken); err == nil {
		t.Error("measuring failed, and no one says so")
	}
	p.takes = func(float64) float64 { return math.NaN() }
	if _, _, err := Correct(0.5, 3, p.search, p.measured); err == nil {
		t.Error("a latency that is not a number is accepted")
	}
}
