//go:build cuda

package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestGPUSelftest checks and times every op on the device, at tiny shapes: how long they take
// is no matter.
func TestGPUSelftest(t *testing.T) {
	r := start(t, filepath.Join(programs(t), gpuProgram), nil, "selftest", "--device", "cuda", "--quick", "--threads", "1")
	if r.code != 0 {
		t.Fatalf("status %d: %s\n%s", r.code, r.report, r.out)
	}
	for _, want := range []string{" cases passed", "a copy moves", "share reached", "\nAttentionBackward ", "\nAdamW "} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	if strings.Contains(r.out, "NaN") || strings.Contains(r.out, " no ") {
		t.Errorf("an op that was not checked, or has no time, in\n%s", r.out)
	}
}

// TestGPUIsLostInSelftest: one message, and no list of kernels that are wrong.
func TestGPUIsLostInSelftest(t *testing.T) {
	if !emulated() {
		t.Skip("a GPU's kernels do not go wrong on demand")
	}
	r := start(t, filepath.Join(programs(t), gpuProgram), []string{"CUEMU_FAULT=1"}, "selftest", "--device", "cuda", "--quick", "--ops", "Linear", "--time=false")
	if r.code != exitFailed || strings.Count(r.report, "CUDA_ERROR_ILLEGAL_ADDRESS (700)") != 1 || strings.Contains(r.report+r.out, "FAILED") {
		t.Errorf("status %d: %s\n%s", r.code, r.report, r.out)
	}
}
