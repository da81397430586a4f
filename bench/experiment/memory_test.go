package experiment

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"optin/bench/record"
	"optin/bench/task"
	"optin/kernels"
	"optin/kernels/cpu"
)

// limited is one processor that takes no more than some bytes; 0: no limit.
func limited(t *testing.T, bytes int64) kernels.Device {
	t.Helper()
	d, err := cpu.New(cpu.Options{Threads: 1, Memory: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// everyWay is an experiment that runs everything that is cut into micro-batches.
var everyWay = []string{"score.estimate=[exact, probes]", "search.method=[additive, surgeon, joint]", "rebuild.method=[none, least-squares]",
	"score.probes=8", "score.check=8", "score.samples=16", "rebuild.samples=16", "search.keep=0.6"}

// executeWithin is execute on a device of some bytes. It returns the log, too.
func executeWithin(t *testing.T, memory int64, output, dir string, cfg task.Config, sets ...string) (*record.Record, string, int64, error) {
	t.Helper()
	dev := limited(t, memory)
	p, err := ParsePlan("test.toml", nil, append([]string{"output=" + output, "model.path=" + dir, "task.name=" + cfg.Name, "task.path=" + cfg.Path, "measure.batch=[]"}, sets...)...)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	peaks := &peakKeeper{Device: dev}
	rec, err := (&Host{Device: peaks, Digest: "test", Log: &log}).Execute(context.Background(), p)
	return rec, log.String(), max(peaks.most, dev.PeakBytes()), err
}

// peakKeeper knows the highest of all peaks.
type peakKeeper struct {
	kernels.Device
	most int64
}

func (d *peakKeeper) ResetPeak() {
	d.most = max(d.most, d.PeakBytes())
	d.Device.ResetPeak()
}

// TestLittleMemory does an experiment with less and less memory: what comes of it is the
// same, and the record says that micro-batches had to be smaller, also when everything
// comes from the store.
func TestLittleMemory(t *testing.T) {
	dir, cfg := texts3(t)
	want, log, most, err := executeWithin(t, 0, t.TempDir(), dir, cfg, everyWay...)
	if err != nil || strings.Contains(log, "going on") || len(want.Warnings) != 0 {
		t.Fatalf("without a limit: %v\n%s%q", err, log, want.Warnings)
	}
	halved := 0
	for _, share := range []float64{0.95, 0.85, 0.75, 0.65} {
		output, memory := t.TempDir(), int64(share*float64(most))
		got, log, _, err := executeWithin(t, memory, output, dir, cfg, everyWay...)
		if err != nil {
			t.Errorf("with %.0f %% of the memory: %v", 100*share, err)
			continue
		}
		likeEnough(t, got, want)
		if !strings.Contains(log, "out of memory; going on with micro-batches of") {
			if len(got.Warnings) != 0 {
				t.Errorf("warnings %q of nothing", got.Warnings)
			}
			continue
		}
		halved++
		if w := got.Warnings; len(w) != 1 || !strings.Contains(w[0], "micro-batches have ") || !strings.Contains(w[0], "rows instead of 512") {
			t.Errorf("with %.0f %% of the memory: warnings %q", 100*share, w)
		}
		again, log, _, err := executeWithin(t, memory, output, dir, cfg, everyWay...)
		if err != nil || strings.Contains(log, "going on") || fmt.Sprint(again.Warnings) != fmt.Sprint(got.Warnings) {
			t.Errorf("once more: %v, warnings %q\n%s", err, again.Warnings, log)
		}
	}
	if halved < 2 {
		t.Errorf("micro-batches were made smaller for %d limits", halved)
	}
	_, _, _, err = executeWithin(t, most/50, t.TempDir(), dir, cfg, everyWay...)
	if err == nil || !strings.Contains(err.Error(), "fewer examples (score.samples, rebuild.samples)") || !strings.Contains(err.Error(), `or use device = "cpu"`) {
		t.Errorf("with hardly any memory: %v", err)
	}
}

// likeEnough wants two records to differ by rounding only.
func likeEnough(t *testing.T, got, want *record.Record) {
	t.Helper()
	if len(got.Scores) != len(want.Scores) || len(got.Runs) != len(want.Runs) {
		t.Fatalf("%d scores and %d runs, want %d and %d", len(got.Scores), len(got.Runs), len(want.Scores), len(want.Runs))
	}
	for i, s := range want.Scores {
		for j, site := range s.Sites {
			for u, w := range site.Values {
				if g := got.Scores[i].Sites[j].Values[u]; !(math.Abs(g-w) <= 1e-3*math.Abs(w)+1e-7) {
					t.Errorf("%s %s %v: unit %d scores %g, with all memory %g", s.Method, s.Variant, site.Kind, u, g, w)
				}
			}
		}
	}
	for i, w := range want.Runs {
		g := got.Runs[i]
		if fmt.Sprint(g.Heads, g.Neurons, g.Verdict, *g.Metrics[0].Value) != fmt.Sprint(w.Heads, w.Neurons, w.Verdict, *w.Metrics[0].Value) {
			t.Errorf("%s %s: keeps %v %v, %v, reaches %v; with all memory %v %v, %v, %v", w.Way(), w.Variant,
				g.Heads, g.Neurons, g.Verdict, *g.Metrics[0].Value, w.Heads, w.Neurons, w.Verdict, *w.Metrics[0].Value)
		}
	}
}
