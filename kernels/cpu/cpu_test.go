//go:build cgo

package cpu

import (
	"strings"
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
)

// isas are the instruction sets that this machine has.
func isas(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, name := range []string{"avx512", "avx2", "plain"} {
		if _, err := findISA(name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// open opens a device for a test that closes it.
func open(t testing.TB, o Options) *device {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*device)
}

func TestConformance(t *testing.T) {
	for _, isa := range isas(t) {
		t.Run("isa="+isa, func(t *testing.T) {
			kerneltest.Run(t, func(t *testing.T, workers int) kernels.Device {
				return open(t, Options{Threads: workers, Guard: true, ISA: isa})
			})
		})
	}
}

func TestUnknownISA(t *testing.T) {
	_, err := New(Options{ISA: "sse9"})
	if err == nil || !strings.Contains(err.Error(), `"sse9"`) {
		t.Errorf("New with an unknown instruction set: error %v", err)
	}
}
