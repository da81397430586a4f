package report

import (
	"fmt"
	"slices"
	"strconv"

	"optin/bench/record"
)

// tables are those of a record, in the order they are read.
func tables(rec *record.Record) []table {
	out := []table{modelTable(rec)}
	if t := overallTable(rec); len(t.rows) > 0 {
		out = append(out, t)
	}
	for i := range rec.Models {
		out = append(out, modelTables(rec, &rec.Models[i])...)
	}
	return append(out, timeTable(rec))
}

// modelTables are those about one model.
func modelTables(rec *record.Record, m *record.Model) []table {
	var out []table
	for n, name := range metricNames(rec, m) {
		out = append(out, qualityTable(rec, m, name))
		if n == 0 {
			out = append(out, publishedTable(rec, m, name))
		}
	}
	out = append(out, denseTable(rec, m), comparisonTable(rec, m))
	out = append(out, methodTables(rec, m)...)
	out = append(out, costTable(rec, m), speedTable(rec, m), energyTable(rec, m))
	return slices.DeleteFunc(out, func(t table) bool { return len(t.rows) == 0 })
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

// speedTable compares times. Of several seeds it shows the first.
func speedTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: speed", m.Name, m.Task),
		note: "Dense and pruned were measured interleaved; medians, the speed-up with its 95 % interval. " +
			"End-to-end begins at the text or image file. GFLOP/s counts executed MACs twice; of peak is against one large matrix product on this machine.",
		header: []string{"Method", "Timed", "Keep", "Batch", "Dense", "Pruned", "Speed-up", "Examples/s", "GFLOP/s", "Of peak"},
		words:  2,
	}
	slowed := false
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			for _, x := range p.runs[0].Timings {
				slowed = slowed || x.Throttled()
				share := notAvailable
				if x.FLOPS != nil && x.PeakFLOPS != nil && *x.PeakFLOPS > 0 {
					share = percent1(*x.FLOPS / *x.PeakFLOPS)
				}
				t.add(s.label, x.Kind, three(p.keep), strconv.Itoa(x.Batch), medianOf(x.Dense, seconds), medianOf(x.Pruned, seconds),
					interval(x.Speedup, three)+mark(x.Throttled()), medianOf(x.Throughput, scaled),
					show(x.FLOPS, func(v float64) string { return three(v / 1e9) }), share)
			}
		}
	}
	if slowed {
		t.note += " Throttled: the device was slower than it can be while both models were timed."
	}
	return t
}
