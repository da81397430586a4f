package report

import (
	"bytes"
	"encoding/csv"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/measure"
	"optin/bench/record"
)

// telemetryRecord has three timings of one model: on a device that was slowed down, on one
// that was not, and on one that nothing could be read of.
func telemetryRecord() *record.Record {
	rec := exampleRecord()
	rec.Models, rec.Scores, rec.Runs, rec.Warnings = rec.Models[:1], nil, rec.Runs[:1], nil
	r := &rec.Runs[0]
	steady := func(v float64) *measure.Spread { return &measure.Spread{Min: v, Mean: v, Max: v} }
	energy := func(joules, watts float64) *measure.Energy {
		return &measure.Energy{Source: "made-up counter", Watts: watts, Rounds: 3, RoundSeconds: 1.2,
			Joules: record.Estimate{Value: joules, Low: 0.9 * joules, High: 1.1 * joules, Confidence: 0.75}}
	}
	hot, cool, unknown := exampleTiming(record.ModelOnly, 1, 0.5), exampleTiming(record.ModelOnly, 32, 0.5), exampleTiming(record.EndToEnd, 1, 0.5)
	hot.DenseEnergy, hot.PrunedEnergy = energy(0.8, 400), energy(0.5, 300)
	hot.Telemetry = &measure.Telemetry{Device: "Made-up GPU, driver 1.2", Readings: 40, PowerWatts: steady(350),
		ClockMHz: &measure.Spread{Min: 1200, Mean: 1500, Max: 1980}, MemoryClockMHz: steady(2619), Celsius: &measure.Spread{Min: 50, Mean: 60, Max: 83},
		BusyPercent: steady(97), MemoryBusyPercent: steady(40), MemoryBytes: steady(3 << 30),
		Throttles: []measure.Throttle{{Reason: "power limit", Share: 0.25}}}
	hot.Warnings = []measure.Warning{{Kind: measure.Throttled, Detail: "power limit in 25 % of readings"}}
	cool.Telemetry = &measure.Telemetry{Device: "Made-up GPU, driver 1.2", Readings: 40, Throttles: []measure.Throttle{}}
	unknown.Telemetry = &measure.Telemetry{Device: "cpu", Absent: []string{measure.ErrNoEnergy.Error()}}
	r.Timings = []record.Timing{hot, cool, unknown}
	r.Latency = &record.Latency{Target: 0.01, Measured: hot.Pruned, Dense: hot.Dense, Warnings: hot.Warnings}
	return rec
}

// TestThrottledIsMarked: beside the figure wherever it stands, and nowhere else.
func TestThrottledIsMarked(t *testing.T) {
	rec := telemetryRecord()
	dir := t.TempDir()
	if _, err := Write(rec, dir); err != nil {
		t.Fatal(err)
	}
	md := readText(t, filepath.Join(dir, "report.md"))
	golden(t, "telemetry.md", []byte(md), sameBytes)
	var terminal bytes.Buffer
	if err := Print(&terminal, rec); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"report.md": md, "tables.tex": readText(t, filepath.Join(dir, "tables.tex")), "the terminal": terminal.String()} {
		if n := strings.Count(text, ", throttled"); n != 2 { // a speed-up, and a time that a search kept to
			t.Errorf("%s marks %d figures, want 2", name, n)
		}
		for _, want := range []string{"Throttled: the device was slower", "power limit in 25", "energy and device", "1500 MHz", "83 °C"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
	}
}

// TestTelemetryInFull: what a device does not report is not available, never 0.
func TestTelemetryInFull(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(timingsCSV(telemetryRecord()))).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, error %v", len(rows), err)
	}
	cell := func(row int, name string) string {
		i := slices.Index(rows[0], name)
		if i < 0 {
			t.Fatalf("no column %s", name)
		}
		return rows[row][i]
	}
	for name, want := range map[string][3]string{
		"throttled":                 {"yes", "no", notAvailable},
		"throttle_reasons":          {"power limit in 25 % of readings", "no", notAvailable},
		"energy_source":             {"made-up counter", notAvailable, notAvailable},
		"dense_joules_per_example":  {"0.8", notAvailable, notAvailable},
		"pruned_joules_per_example": {"0.5", notAvailable, notAvailable},
		"pruned_joules_high":        {"0.55", notAvailable, notAvailable},
		"dense_watts":               {"400", notAvailable, notAvailable},
		"device_watts":              {"350", notAvailable, notAvailable},
		"clock_mhz_min":             {"1200", notAvailable, notAvailable},
		"memory_bytes_max":          {"3.221225472e+09", notAvailable, notAvailable},
		"device":                    {"Made-up GPU, driver 1.2", "Made-up GPU, driver 1.2", "cpu"},
		"not_read":                  {"", "", measure.ErrNoEnergy.Error()},
	} {
		for i, w := range want {
			if got := cell(i+1, name); got != w {
				t.Errorf("timing %d, %s: %q, want %q", i, name, got, w)
			}
		}
	}
}

// TestOldRecordsHaveNoTelemetry: what was written before reports as it did.
func TestOldRecordsHaveNoTelemetry(t *testing.T) {
	rec := exampleRecord()
	text := string(timingsCSV(rec)) + markdownReport(rec, nil)
	for _, word := range []string{"throttle", "joules", "Joules", "Watched"} {
		if strings.Contains(text, word) {
			t.Errorf("the report of a record without telemetry speaks of %s", word)
		}
	}
}
