package report

import (
	"fmt"
	"strconv"

	"optin/bench/record"
)

// costTable says what remains and whether it was proved.
func costTable(rec *record.Record, m *record.Model) table {
	all := seriesOf(rec, m.Name)
	if len(all) > sideBySide {
		return proofTable(m, all)
	}
	t := table{
		title: fmt.Sprintf("%s on %s: what remains, and the proof", m.Name, m.Task),
		note: "Logit gap is the largest difference between the masked and the compacted model's logits over the largest logit. " +
			"Counted = executed compares the MACs of the formula with those the kernels tallied.",
		header: []string{"Method", "Keep", "Encoder MACs", "Model MACs", "Weights", "Logit gap", "Counted = executed", "Verdict"},
		words:  1,
	}
	for _, s := range all {
		for _, p := range s.points {
			gap, equal := proof(p)
			t.add(s.label, three(p.keep), show(p.average(keptEncoder), percent1), show(p.average(keptModel), percent1),
				show(p.average(keptParams), percent1), gap, equal, p.verdict())
		}
	}
	return t
}

// proofTable is costTable in short: a row for each way, with the worst of its
// budgets.
func proofTable(m *record.Model, all []series) table {
	t := table{
		title: fmt.Sprintf("%s on %s: the proof", m.Name, m.Task),
		note: "Logit gap is the largest difference between the masked and the compacted model's logits over the largest logit, at the worst budget and seed. " +
			"Counted = executed compares the MACs of the formula with those the kernels tallied.",
		header: []string{"Way", "Runs", "Logit gap", "Counted = executed", "Verdict"},
		words:  1,
	}
	for _, s := range all {
		var whole point // all budgets in one
		for _, p := range s.points {
			whole.runs = append(whole.runs, p.runs...)
		}
		gap, equal := proof(whole)
		t.add(s.label, strconv.Itoa(len(whole.runs)), gap, equal, whole.verdict())
	}
	return t
}

// verdict is that of all runs together.
func (p point) verdict() string {
	return record.Verdict{Valid: p.valid()}.String()
}

// proof is the worst of a point's verifications.
func proof(p point) (gap, equal string) {
	var worst, exact *float64
	equal = "yes"
	for _, r := range p.runs {
		v := r.Verify
		if v == nil || v.LogitGap == nil {
			return notAvailable, notAvailable
		}
		if worst == nil || *v.LogitGap > *worst {
			worst, exact = v.LogitGap, v.ExactGap
		}
		switch {
		case v.CountedMACs == nil || v.ExecutedMACs == nil:
			equal = notAvailable
		case *v.CountedMACs != *v.ExecutedMACs && equal == "yes":
			equal = fmt.Sprintf("no: %.0f, %.0f", *v.CountedMACs, *v.ExecutedMACs)
		}
	}
	if exact != nil {
		return fmt.Sprintf("%s (in float64 %s)", show(worst, three), show(exact, three)), equal
	}
	return show(worst, three), equal
}
