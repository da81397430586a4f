package experiment

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"optin/bench/measure"
	"optin/bench/record"
)

// hotDevice is a device that is slowed down, and whose counter rises by 1 J whenever it is
// read: each case of a round takes so much.
type hotDevice struct{ joules float64 }

func (*hotDevice) Start() {}
func (*hotDevice) Counter() (measure.Counter, error) {
	return measure.Counter{Source: "made-up counter", Every: time.Nanosecond}, nil
}
func (d *hotDevice) Joules() (float64, error) {
	d.joules++
	return d.joules, nil
}
func (*hotDevice) Stop() measure.Telemetry {
	return measure.Telemetry{Device: "hot device", Throttles: []measure.Throttle{{Reason: "power limit", Share: 1}}}
}

// TestTelemetryIsRecorded: what the device did stands with the times, also when they come
// from what was stored.
func TestTelemetryIsRecorded(t *testing.T) {
	dir, cfg := texts3(t)
	output := t.TempDir()
	p, err := ParsePlan("test.toml", nil, "output="+output, "model.path="+dir, "task.name="+cfg.Name, "task.path="+cfg.Path,
		"score.samples=4", "measure.batch=2", "measure.samples=6", "measure.min_time=0")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	var first []record.Timing
	for again := range 2 {
		h := &Host{Device: device(t, 1), Digest: "test", Log: &log, Telemetry: &hotDevice{}}
		rec, err := h.Execute(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(output, "record.json")
		if err := record.Save(path, rec); err != nil {
			t.Fatal(err)
		}
		if rec, err = record.Load(path); err != nil {
			t.Fatal(err)
		}
		timings := rec.Runs[0].Timings
		if again > 0 {
			if !reflect.DeepEqual(timings, first) {
				t.Errorf("the second time\n%+v, the first\n%+v", timings, first)
			}
			continue
		}
		first = timings
		if len(timings) != 2 {
			t.Fatalf("%d timings, want the model and end to end", len(timings))
		}
		for _, x := range timings {
			if !x.Throttled() || x.Telemetry == nil || x.Telemetry.Device != "hot device" || x.Telemetry.Throttles[0].Reason != "power limit" {
				t.Errorf("%s: warnings %v, telemetry %+v", x.Kind, x.Warnings, x.Telemetry)
			}
			for _, e := range []*measure.Energy{x.DenseEnergy, x.PrunedEnergy} {
				// A round is at least one call, and a call deals with two examples.
				if e == nil || e.Source != "made-up counter" || e.Rounds != x.Rounds || !(e.Joules.Value > 0 && e.Joules.Value <= 0.5) || !(e.Watts > 0) {
					t.Errorf("%s: energy %+v", x.Kind, e)
				}
			}
		}
	}
	if !strings.Contains(log.String(), "(throttled)") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
}

// TestEnergyIsAChoice: without it throttling is seen all the same.
func TestEnergyIsAChoice(t *testing.T) {
	s := openSubject(t, pictures5)
	timer := &Timer{Device: device(t, 1), Subject: s, Feed: openFeed(t, s, 0), Watcher: &hotDevice{},
		Settings: Measure{Batch: []int{1}, Samples: 6}}
	all, err := timer.Compare(context.Background(), s.Model, s.Model)
	if err != nil {
		t.Fatal(err)
	}
	if all[0].DenseEnergy != nil || all[0].PrunedEnergy != nil || !all[0].Throttled() {
		t.Errorf("%+v", all[0])
	}
	timer.Watcher = nil
	if all, err = timer.Compare(context.Background(), s.Model, s.Model); err != nil || all[0].Telemetry != nil || all[0].Throttled() {
		t.Errorf("nobody watched: %+v %v", all, err)
	}
}
