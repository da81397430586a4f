package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"optin/bench/measure"
	"optin/bench/record"
)

// runsCSV has a line for each run and metric, in full precision and base units.
func runsCSV(rec *record.Record) []byte {
	rows := [][]string{{"model", "task", "method", "variant", "seed", "search", "rebuild", "constraint", "keep",
		"kept_encoder_macs", "kept_model_macs", "kept_params", "heads", "neurons",
		"metric", "value", "std_err", "examples", "dense_value", "logit_gap", "verdict"}}
	dense := map[string][]record.Metric{}
	for _, m := range rec.Models {
		dense[m.Name] = m.Metrics
	}
	for _, r := range rec.Runs {
		metrics := r.Metrics
		if len(metrics) == 0 {
			metrics = []record.Metric{{Name: notAvailable}}
		}
		var gap *float64
		if r.Verify != nil {
			gap = r.Verify.LogitGap
		}
		for _, m := range metrics {
			var before *float64
			if d := metricOf(dense[r.Model], m.Name); d != nil {
				before = d.Value
			}
			rows = append(rows, []string{r.Model, r.Task, r.Method, r.Variant, fmt.Sprint(r.Seed), r.Search, r.Rebuild, r.Constraint,
				exact(r.Keep), show(r.KeptEncoderMACs, exact), show(r.KeptModelMACs, exact), show(r.KeptParams, exact),
				spaced(r.Heads), spaced(r.Neurons), m.Name, show(m.Value, exact), show(m.StdErr, exact), strconv.Itoa(m.N),
				show(before, exact), show(gap, exact), r.Verdict.String()})
		}
	}
	return csvBytes(rows)
}

// timingsCSV has a line for each timing.
func timingsCSV(rec *record.Record) []byte {
	rows := [][]string{{"model", "task", "method", "variant", "seed", "search", "rebuild", "constraint", "keep", "kept_model_macs",
		"timed", "batch", "rounds", "dense_seconds", "dense_low", "dense_high", "pruned_seconds", "pruned_low", "pruned_high",
		"speedup", "speedup_low", "speedup_high", "examples_per_second", "flops", "peak_flops", "warnings"}}
	more := watched(rec)
	if more {
		rows[0] = append(rows[0], energyHeader()...)
	}
	for _, r := range rec.Runs {
		for _, t := range r.Timings {
			row := []string{r.Model, r.Task, r.Method, r.Variant, fmt.Sprint(r.Seed), r.Search, r.Rebuild, r.Constraint,
				exact(r.Keep), show(r.KeptModelMACs, exact), t.Kind, strconv.Itoa(t.Batch), strconv.Itoa(t.Rounds)}
			for _, e := range []*record.Estimate{t.Dense, t.Pruned, t.Speedup} {
				if e == nil {
					row = append(row, notAvailable, notAvailable, notAvailable)
					continue
				}
				row = append(row, exact(e.Value), exact(e.Low), exact(e.High))
			}
			row = append(row, medianOf(t.Throughput, exact), show(t.FLOPS, exact), show(t.PeakFLOPS, exact), joined(t.Warnings))
			if more {
				row = append(row, energyColumns(t)...)
			}
			rows = append(rows, row)
		}
	}
	return csvBytes(rows)
}

func exact(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// spaced writes a list within one cell.
func spaced(list []int) string {
	if len(list) == 0 {
		return notAvailable
	}
	return strings.Trim(fmt.Sprint(list), "[]")
}

func csvBytes(rows [][]string) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll(rows) // a buffer takes everything
	return b.Bytes()
}

// joined is a timing's warnings in one cell.
func joined(warnings []measure.Warning) string {
	var words []string
	for _, w := range warnings {
		words = append(words, w.String())
	}
	return strings.Join(words, "; ")
}
