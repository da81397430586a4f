package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"optin/bench/record"
)

// methodTables say how the ways of pruning a model came to what they did: how
// good estimates are, what a joint search saw, what a rebuild mended, how a
// budget of time was met. Of several seeds they show the first.
func methodTables(rec *record.Record, m *record.Model) []table {
	var out []table
	for _, t := range []table{estimateTable(rec, m), jointTable(rec, m), rebuildTable(rec, m), latencyTable(rec, m)} {
		if len(t.rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// estimateTable compares estimated scores with exact ones.
func estimateTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: estimated scores against exact ones", m.Name, m.Task),
		note: "Spearman is the rank correlation over units that were scored both ways; top half is the share of their better half that the estimate " +
			"finds too. Costs are in forward passes of the dense model over the calibration examples.",
		header: []string{"Scores", "Heads by", "Seed", "Probes", "Units checked", "Spearman, heads", "Spearman, neurons", "Top half (%)", "Cost", "Exact cost"},
		words:  2,
	}
	for i := range rec.Scores {
		s := &rec.Scores[i]
		e := s.Estimated
		if s.Model != m.Name || e == nil {
			continue
		}
		t.add(scoresLabel(s), e.Heads, strconv.FormatUint(s.Seed, 10), strconv.Itoa(e.Probes), fmt.Sprintf("%d + %d", e.SubsetHeads, e.SubsetNeurons),
			show(e.SpearmanHeads, correlation), show(e.SpearmanNeurons, correlation), show(e.TopHalf, percent),
			show(e.DenseForwards, three), show(e.ExactForwards, three))
	}
	return t
}

// scoresLabel names scores by their method and what else the grid varies.
func scoresLabel(s *record.Scores) string {
	if s.Variant == "" {
		return s.Method
	}
	return s.Method + ", " + s.Variant
}

// correlation writes a coefficient with four digits.
func correlation(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// jointTable lists the losses that a joint search saw. Runs that differ in
// their rebuild alone share a search and a row.
func jointTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: the joint search", m.Name, m.Task),
		note: "Losses of removing all units together: in-sample by the probes that chose them, held-out by others, true by a forward pass, which chose the shrink; additive is " +
			"the held-out loss of the mask that the additive search chooses. Shrink is the share of the cross terms that was left out.",
		header: []string{"Score", "Taken", "Keep", "Probes", "Steps", "Shrink", "In-sample", "Held-out", "True", "Additive"},
		words:  2,
	}
	var seen [][]string
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			r := p.runs[0]
			j := r.Joint
			if j == nil {
				continue
			}
			taken := "joint"
			if j.FellBack {
				taken = "additive: joint was worse"
			}
			label := r.Method
			if r.Variant != "" {
				label += ", " + r.Variant
			}
			row := []string{label, taken, three(p.keep), strconv.Itoa(j.Probes), strconv.Itoa(j.Steps), show(j.Shrink, three),
				show(j.InSample, three), show(j.HeldOut, three), show(j.True, three), show(j.Additive, three)}
			if !slices.ContainsFunc(seen, func(other []string) bool { return slices.Equal(row, other) }) {
				seen = append(seen, row)
				t.add(row...)
			}
		}
	}
	return t
}

// rebuildTable sums up what the rebuild of each run mended.
func rebuildTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: the rebuild", m.Name, m.Task),
		note: "Error is the mean square of the difference from the target on held-out calibration tokens, which chose the ridge too, over that of the target; mean and worst over " +
			"all layers' heads and neurons, before and after. A weight whose error did not fall is left as it was, and counts as it is.",
		header: []string{"Way", "Left as they were", "Keep", "Fitted", "Mean before", "Mean after", "Worst before", "Worst after", "Ridge"},
		words:  2,
	}
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			sites := p.runs[0].Rebuilt
			if len(sites) == 0 {
				continue
			}
			sum := sumRebuilt(sites)
			t.add(s.label, sum.left, three(p.keep), fmt.Sprintf("%d of %d", sum.fitted, len(sites)),
				show(mean(sum.before), three), show(mean(sum.after), three), show(worst(sum.before), three), show(worst(sum.after), three), sum.ridge)
		}
	}
	return t
}

// rebuilt is what became of the sites of one run.
type rebuilt struct {
	left          string // the sites that keep their weights
	fitted        int
	before, after []*float64 // errors, of all sites
	ridge         string     // from the least to the largest
}

func sumRebuilt(sites []record.RebuiltSite) rebuilt {
	var sum rebuilt
	var left []string
	low, high := math.Inf(1), math.Inf(-1)
	for i := range sites {
		s := &sites[i]
		after := s.After
		if s.KeptOld {
			left = append(left, fmt.Sprintf("layer %d %s", s.Layer, s.Kind))
			after = s.Before
		} else {
			sum.fitted++
		}
		sum.before, sum.after = append(sum.before, s.Before), append(sum.after, after)
		if s.Ridge != nil && !s.KeptOld {
			low, high = math.Min(low, *s.Ridge), math.Max(high, *s.Ridge)
		}
	}
	sum.left = "none"
	if len(left) > 0 {
		sum.left = strings.Join(left, ", ")
	}
	switch {
	case low > high:
		sum.ridge = "none"
	case low == high:
		sum.ridge = three(low)
	default:
		sum.ridge = three(low) + " to " + three(high)
	}
	return sum
}

// worst is the largest of some figures, nil if one is missing.
func worst(values []*float64) *float64 {
	var out *float64
	for _, v := range values {
		if v == nil {
			return nil
		}
		if out == nil || *v > *out {
			out = v
		}
	}
	return out
}

// latencyTable says how budgets of time were met.
func latencyTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: budgets of time", m.Name, m.Task),
		note: "Times are of one call of the whole model, from token ids or pixels in memory to logits in memory: embeddings, encoder and classifier are inside, and " +
			"copies to and from the device; tokenizing, decoding pictures, packing the batch and picking the class are outside. Predicted is by the table measured on this device, " +
			"measured is the compacted model, with its 95 % interval; off is measured over target less one.",
		header: []string{"Way", "Keep", "Encoder MACs", "Dense", "Target", "Predicted", "Measured", "Off", "Rounds"},
		words:  1,
	}
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			l := p.runs[0].Latency
			if l == nil {
				continue
			}
			off := notAvailable
			if l.Measured != nil && l.Target > 0 {
				off = signed(100*(l.Measured.Value/l.Target-1), 1) + " %"
			}
			t.add(s.label, three(p.keep), show(p.runs[0].KeptEncoderMACs, percent1), medianOf(l.Dense, seconds), seconds(l.Target),
				show(l.Predicted, seconds), interval(l.Measured, seconds)+mark(l.Throttled()), off, strconv.Itoa(l.Rounds))
		}
	}
	return t
}

// signed writes a number with its sign and so many digits.
func signed(v float64, digits int) string {
	text := strconv.FormatFloat(v+0, 'f', digits, 64) // -0 + 0 is 0
	if v >= 0 {
		return "+" + text
	}
	return text
}
