package experiment

import (
	"fmt"
	"slices"
	"strings"
)

// maxRuns is how many runs one file may ask for: more is a slip.
const maxRuns = 10_000

func tooManyRuns(file string, n int) error {
	return fmt.Errorf("%s: the lists span %d runs or more, want at most %d: shorten one", file, n, maxRuns)
}

// expand returns the grid that the settings of one target span.
func expand(src *source, set settings, seed uint64) []Run {
	keys := new(Run).keys(seed)
	choices := make([][]any, len(keys)) // none where the key is absent
	total := 1
	for i, k := range keys {
		if e, ok := set[k.path()]; ok {
			choices[i] = k.values(src, e)
			total = min(total*max(1, len(choices[i])), maxRuns+1)
		} else {
			src.require(k)
		}
	}
	if total > maxRuns {
		src.faults = append(src.faults, tooManyRuns(src.file, total))
	}
	if src.err() != nil {
		return nil
	}
	var runs []Run
	chosen := make([]int, len(keys)) // an odometer, the last key fastest
	for {
		run := choose(choices, chosen, seed)
		if err := run.check(); err != nil {
			src.faults = append(src.faults, fmt.Errorf("%s: %w", src.file, err))
			return nil
		}
		runs = append(runs, run)
		i := len(chosen) - 1
		for ; i >= 0; i-- {
			if chosen[i]++; chosen[i] < len(choices[i]) {
				break
			}
			chosen[i] = 0
		}
		if i < 0 {
			return runs
		}
	}
}

// choose makes the run of one choice for each key. Keys that the run's method
// does not read are at their defaults, so that runs that do the same are equal.
func choose(choices [][]any, chosen []int, seed uint64) Run {
	var run Run
	keys := run.keys(seed)
	pick := func(i int, mode string) any {
		if len(choices[i]) > 0 {
			return choices[i][chosen[i]]
		}
		return keys[i].fallback(mode)
	}
	for i, k := range keys {
		if k.controls {
			k.set(pick(i, Correct))
		}
	}
	run.settle()
	keys = run.keys(seed) // some defaults depend on what is set by now
	method, mode := run.Score.Method, run.Score.Mode
	for i, k := range keys {
		if !k.controls && !k.readBy(method) {
			k.set(k.standard)
		}
		if !k.readBy(method) {
			continue
		}
		if !k.controls {
			k.set(pick(i, mode))
		}
		if len(choices[i]) > 1 {
			run.listed = append(run.listed, k.path())
		}
	}
	return run
}

// nameVariants tells runs apart by what is in no column: the keys that their
// target gives a list, and the values that other runs of the same model that read
// the key do not have, where they are not the default.
func nameVariants(runs []Run) {
	seen := map[string]map[string]bool{} // values by subject and key
	subjects := make([]string, len(runs))
	for i, r := range runs {
		subjects[i] = r.canonical("model", "task", "evaluate")
		for _, k := range r.keys(0) {
			if !k.readBy(r.Score.Method) {
				continue
			}
			at := subjects[i] + k.path()
			if seen[at] == nil {
				seen[at] = map[string]bool{}
			}
			seen[at][literal(k.get())] = true
		}
	}
	for i := range runs {
		r := &runs[i]
		var words []string
		for _, k := range r.keys(0) {
			if k.hasColumn || !k.readBy(r.Score.Method) {
				continue
			}
			prunes := k.table == "score" || k.table == "search" || k.table == "rebuild"
			own := len(seen[subjects[i]+k.path()]) > 1 && literal(k.get()) != literal(k.fallback(r.Score.Mode))
			if slices.Contains(r.listed, k.path()) || prunes && own {
				words = append(words, k.name+"="+strings.Trim(literal(k.get()), `"`))
			}
		}
		r.Variant = strings.Join(words, " ")
	}
}

// settle sets the keys that control others where another one leaves no choice.
func (r *Run) settle() {
	switch {
	case r.Score.Method != Trajectory:
		r.Score.Estimate = Exact
	case r.Search.probed():
		r.Score.Estimate = Probes
	}
	if r.Score.Method != Trajectory {
		r.Score.Mode = Correct
	}
}

// check looks at keys that must fit each other.
func (r *Run) check() error {
	s := r.Score
	switch {
	case r.Search.probed() && s.Method != Trajectory:
		return fmt.Errorf("search.method is %q, which needs gradients of the trajectory, but score.method is %q: set it to \"trajectory\", or search.method to \"additive\"", r.Search.Method, s.Method)
	case r.Search.Method == PTF && s.Method != Fisher:
		return fmt.Errorf("search.method is \"ptf\", which rearranges by Fisher information, but score.method is %q: set it to \"fisher\", or search.method to \"additive\"", s.Method)
	case s.Estimate == Probes && s.departs() != "":
		return fmt.Errorf("score.%s is set, which probes cannot estimate: leave it out, or set score.estimate = \"exact\" and search.method = \"additive\"", s.departs())
	case r.Search.probed() && s.weighs() != "":
		return fmt.Errorf("score.%s is set, which search.method %q would not see: leave it out, or set search.method = \"additive\"", s.weighs(), r.Search.Method)
	case r.Search.Method == Joint && s.Probes < 2:
		return fmt.Errorf("score.probes is %d, and the search joint needs 2 at least, one to search by and one to judge by", s.Probes)
	case s.TokenFile != "" && s.MDTokens == 0:
		return fmt.Errorf("score.token_file says which tokens md compares, but score.md_tokens is 0, all of them: set md_tokens, or leave out token_file")
	case s.MDPadding && s.MDTokens == 0:
		return fmt.Errorf("score.md_padding is for the tokens drawn by score.md_tokens, which is 0, all valid ones: set md_tokens, or md_padding = false")
	case s.Loss == "kd" && s.Lambda == 0:
		return fmt.Errorf("score.loss is \"kd\" and its weight score.lambda is 0, so every score would be 0: set lambda above 0")
	}
	return nil
}

// distinct drops runs that are there already.
func distinct(runs []Run) []Run {
	seen := map[string]bool{}
	var out []Run
	for _, r := range runs {
		text := r.canonical(allTables...)
		if !seen[text] {
			seen[text] = true
			out = append(out, r)
		}
	}
	return out
}
