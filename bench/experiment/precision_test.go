package experiment

import (
	"context"
	"strings"
	"testing"

	"optin/bench/record"
	"optin/kernels"
)

// TestPrecision has models evaluated and timed on a device of their own, and nothing else.
func TestPrecision(t *testing.T) {
	dir, cfg := texts3(t)
	output := t.TempDir()
	run := func(dev, fast kernels.Device, sets ...string) *record.Record {
		t.Helper()
		p, err := ParsePlan("test.toml", nil, append([]string{"output=" + output, "model.path=" + dir, "task.name=" + cfg.Name, "task.path=" + cfg.Path,
			"score.samples=4", "measure.samples=6", "measure.min_time=0", "measure.end_to_end=false"}, sets...)...)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := (&Host{Device: dev, Fast: fast, Digest: "test"}).Execute(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	one, dev, fast, timer := device(t, 1), device(t, 1), device(t, 1), device(t, 1)
	if rec := run(one, nil, "measure.batch=[]"); rec.Provenance.Precision != "" {
		t.Errorf("of one device the record says %q", rec.Provenance.Precision)
	}
	all := one.Tally()

	output = t.TempDir()
	rec := run(dev, fast, "measure.batch=[]", "precision=bf16")
	if rec.Provenance.Precision != "bf16" {
		t.Errorf("the record says precision %q", rec.Provenance.Precision)
	}
	exact, low := dev.Tally(), fast.Tally()
	if exact.Add(low) != all || low.LossMACs != 0 || low.MACs == 0 {
		t.Errorf("%+v and %+v ran, %+v on one device", exact, low, all)
	}
	evaluated := (*rec.Models[0].ExecutedMACs + *rec.Runs[0].Verify.ExecutedMACs/float64(rec.Runs[0].Verify.Examples)) * float64(rec.Models[0].Metrics[0].N)
	if share := float64(low.MACs) / evaluated; share < 0.5 || share > 2 {
		t.Errorf("%d MACs ran in bf16, two evaluations take about %.0f", low.MACs, evaluated)
	}

	run(dev, timer, "measure.batch=2", "precision=bf16")
	if dev.Tally() != exact || timer.Tally().MACs == 0 {
		t.Errorf("timing: %+v on the exact device, %+v on the other", dev.Tally().Sub(exact), timer.Tally())
	}

	rec = run(dev, nil, "measure.batch=[]")
	for _, s := range rec.Runs[0].Stages {
		if evaluates := s.Name == string(StepEvaluate); s.Cached == evaluates {
			t.Errorf("in float32 after bf16: stage %s is cached: %t", s.Name, s.Cached)
		}
	}
}

// TestNoPrecision asks for a precision of a host that has none.
func TestNoPrecision(t *testing.T) {
	dir, cfg := texts3(t)
	_, err := execute(t, device(t, 1), t.TempDir(), dir, cfg, "precision=fp16")
	if err == nil || !strings.Contains(err.Error(), `precision is "fp16"`) {
		t.Errorf("error %v", err)
	}
}
