package report

import (
	"fmt"
	"strconv"

	"optin/bench/record"
)

// tables are those of a record, in the order they are read.
func tables(rec *record.Record) []table {
	out := []table{modelTable(rec)}
	for i := range rec.Models {
		out = append(out, modelTables(rec, &rec.Models[i])...)
	}
	return append(out, timeTable(rec))
}

// modelTables are those about one model.
func modelTables(rec *record.Record, m *record.Model) []table {
	var out []table
	for _, name := range metricNames(rec, m) {
		out = append(out, qualityTable(rec, m, name))
	}
	out = append(out, costTable(rec, m))
	if t := speedTable(rec, m); len(t.rows) > 0 {
		out = append(out, t)
	}
	return out
}

// modelTable lists the dense models.
func modelTable(rec *record.Record) table {
	t := table{
		title:  "Dense models",
		note:   "MACs are multiply-accumulates per example of so many tokens; 1 MAC is 2 FLOPs. The encoder is the model without embeddings, pooler and classifier.",
		header: []string{"Model", "Task", "Layers", "Width", "Weights", "Tokens", "Encoder MACs", "Model MACs", "Quality (%)"},
		words:  2,
	}
	for i := range rec.Models {
		m := &rec.Models[i]
		quality := notAvailable
		if len(m.Metrics) > 0 {
			quality = m.Metrics[0].Name + " " + withError(m.Metrics[0].Value, m.Metrics[0].StdErr)
		}
		t.add(m.Name, m.Task, strconv.Itoa(m.Layers), strconv.Itoa(m.Hidden), scaled(float64(m.Params)),
			strconv.FormatFloat(m.SeqLen, 'f', -1, 64), scaled(m.EncoderMACs), scaled(m.ModelMACs), quality)
	}
	return t
}

// withError writes a quality in percent with what it may be off by.
func withError(value, plusMinus *float64) string {
	text := show(value, percent)
	if value != nil && plusMinus != nil {
		text += " ± " + percent(*plusMinus)
	}
	return text
}

// qualityTable puts the ways of pruning side by side, a row for each budget.
func qualityTable(rec *record.Record, m *record.Model, name string) table {
	all := seriesOf(rec, m.Name)
	t := table{
		title:  fmt.Sprintf("%s on %s: %s after pruning (%%)", m.Name, m.Task, name),
		note:   "± is the standard error over the examples",
		header: []string{"Keep"},
		words:  1,
	}
	if m.Split != "" {
		t.note += " of the " + m.Split + " split"
	}
	t.note += "."
	dense := []string{"dense"}
	for _, s := range all {
		label := s.label
		if n := s.seeds(); n > 1 {
			label += fmt.Sprintf(" (%d seeds)", n)
			t.note = withSeeds(t.note)
		}
		t.header = append(t.header, label)
		cell := notAvailable
		if d := metricOf(m.Metrics, name); d != nil {
			cell = withError(d.Value, d.StdErr)
		}
		dense = append(dense, cell)
	}
	t.add(dense...)
	for _, keep := range budgets(all) {
		row := []string{three(keep)}
		for _, s := range all {
			cell := notAvailable
			for _, p := range s.points {
				if p.keep != keep {
					continue
				}
				cell = withError(p.quality(name))
				if !p.valid() {
					cell += " INVALID"
				}
			}
			row = append(row, cell)
		}
		t.add(row...)
	}
	return t
}

// withSeeds adds once what ± means where there are several seeds.
func withSeeds(note string) string {
	const more = " Over several seeds: mean ± standard deviation."
	if len(note) > len(more) && note[len(note)-len(more):] == more {
		return note
	}
	return note + more
}

// budgets are those of some series, from the largest down.
func budgets(all []series) []float64 {
	var out []float64
	for _, s := range all {
		for _, p := range s.points {
			out = append(out, p.keep)
		}
	}
	return descending(out)
}

// costTable says what remains and whether it was proved.
func costTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: what remains, and the proof", m.Name, m.Task),
		note: "Logit gap is the largest difference between the masked and the compacted model's logits over the largest logit. " +
			"Counted = executed compares the MACs of the formula with those the kernels tallied.",
		header: []string{"Method", "Keep", "Encoder MACs", "Model MACs", "Weights", "Logit gap", "Counted = executed", "Verdict"},
		words:  1,
	}
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			gap, equal := proof(p)
			verdict := "VALID"
			if !p.valid() {
				verdict = "INVALID"
			}
			t.add(s.label, three(p.keep), show(p.average(keptEncoder), percent1), show(p.average(keptModel), percent1),
				show(p.average(keptParams), percent1), gap, equal, verdict)
		}
	}
	return t
}

// proof is the worst of a point's verifications.
func proof(p point) (gap, equal string) {
	var worst *float64
	equal = "yes"
	for _, r := range p.runs {
		v := r.Verify
		if v == nil || v.LogitGap == nil {
			return notAvailable, notAvailable
		}
		if worst == nil || *v.LogitGap > *worst {
			worst = v.LogitGap
		}
		switch {
		case v.CountedMACs == nil || v.ExecutedMACs == nil:
			equal = notAvailable
		case *v.CountedMACs != *v.ExecutedMACs && equal == "yes":
			equal = fmt.Sprintf("no: %.0f, %.0f", *v.CountedMACs, *v.ExecutedMACs)
		}
	}
	return show(worst, three), equal
}

// speedTable compares times. Of several seeds it shows the first.
func speedTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: speed", m.Name, m.Task),
		note: "Dense and pruned were measured interleaved; medians, the speed-up with its 95 % interval. " +
			"End-to-end begins at the text or image file. GFLOP/s counts executed MACs twice; of peak is against one large matrix product on this machine.",
		header: []string{"Method", "Timed", "Keep", "Batch", "Dense", "Pruned", "Speed-up", "Examples/s", "GFLOP/s", "Of peak"},
		words:  2,
	}
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			for _, x := range p.runs[0].Timings {
				share := notAvailable
				if x.FLOPS != nil && x.PeakFLOPS != nil && *x.PeakFLOPS > 0 {
					share = percent1(*x.FLOPS / *x.PeakFLOPS)
				}
				t.add(s.label, x.Kind, three(p.keep), strconv.Itoa(x.Batch), medianOf(x.Dense, seconds), medianOf(x.Pruned, seconds),
					interval(x.Speedup, three), medianOf(x.Throughput, scaled),
					show(x.FLOPS, func(v float64) string { return three(v / 1e9) }), share)
			}
		}
	}
	return t
}
