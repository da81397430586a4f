//go:build cuda

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGPUTelemetry times a model on the device and looks for what was seen of it. The
// emulator's device says that it takes 100 W.
func TestGPUTelemetry(t *testing.T) {
	r := start(t, filepath.Join(programs(t), gpuProgram), nil, "time", "--model", textModel(t, "bert-basic"), "--task", "text", "--data", textData(t),
		"--device", "cuda", "--output", t.TempDir(), "--set", "measure.batch=1", "--set", "measure.samples=6", "--set", "measure.min_time=0",
		"--set", "measure.end_to_end=false")
	if r.code != 0 {
		t.Fatalf("status %d: %s", r.code, r.report)
	}
	want := []string{", driver ", " MHz", "°C"}
	if emulated() {
		want = append(want, "J per example dense", "by NVML", "emulated, driver 550.54: 100 W, 1500 MHz, memory 2600 MHz, 50 °C, 50 % busy, memory 25 % busy")
	}
	for _, w := range want {
		if !strings.Contains(r.out, w) {
			t.Errorf("no %q in\n%s", w, r.out)
		}
	}
}
