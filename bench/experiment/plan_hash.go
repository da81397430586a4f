package experiment

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// Step is a stage of a run, whose result is stored under its [Run.Hash].
type Step string

// The steps of a run.
const (
	StepDense    Step = "dense"    // metrics of the dense model
	StepScore    Step = "score"    // a score for every unit
	StepSearch   Step = "search"   // the masks
	StepRebuild  Step = "rebuild"  // the weights that remain, adjusted
	StepCompact  Step = "compact"  // the pruned model
	StepVerify   Step = "verify"   // the proof
	StepEvaluate Step = "evaluate" // metrics of the pruned model
	StepTime     Step = "time"     // its speed
)

// tables are those that a step depends on.
func (s Step) tables() []string {
	compacted := []string{"model", "task", "score", "search", "rebuild"}
	switch s {
	case StepDense:
		return []string{"model", "task", "evaluate"}
	case StepScore:
		return compacted[:3]
	case StepSearch:
		return compacted[:4]
	case StepRebuild, StepCompact, StepVerify:
		return compacted
	case StepEvaluate:
		return append(compacted, "evaluate")
	case StepTime:
		return append(compacted, "measure")
	}
	panic("experiment: no step " + string(s))
}

// Hash names the result of a step: equal if, and only if, everything in the
// file that the step depends on is equal, defaults included. facts are what it
// depends on beyond the file, such as the digest of the weights, the device or
// the revision of the program.
func (r Run) Hash(step Step, facts ...string) string {
	h := sha256.New()
	fmt.Fprintf(h, "optin step 1\n%s\n%s", step, r.canonical(step.tables()...))
	for _, fact := range facts {
		fmt.Fprintf(h, "fact %q\n", fact)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// Hash names the whole plan: equal for files that ask for the same runs,
// however they are written.
func (p *Plan) Hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "optin plan 1\nseed=%d device=%q\n", p.Seed, p.Device)
	if p.Precision != Float32 { // of which there was none once
		fmt.Fprintf(h, "precision=%q\n", p.Precision)
	}
	for _, r := range p.runs {
		fmt.Fprintf(h, "run\n%s", r.canonical(allTables...))
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// allTables are the tables of a run.
var allTables = []string{"model", "task", "score", "search", "rebuild", "measure", "evaluate"}

// canonical writes the keys of some tables, one a line, in the one order and
// form there is.
func (r Run) canonical(tables ...string) string {
	keys := r.keys(0) // bound to this copy
	var b strings.Builder
	for _, t := range tables {
		for _, k := range keys {
			if k.table == t {
				fmt.Fprintf(&b, "%s=%s\n", k.path(), literal(k.get()))
			}
		}
	}
	return b.String()
}
