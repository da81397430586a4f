//go:build cgo

package cpu

import (
	"os"
	"os/exec"
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

// oneDNN reads its limit once per process.
func TestConformanceOfOneDNNForAVX2(t *testing.T) {
	const limit = "ONEDNN_MAX_CPU_ISA=AVX2"
	if os.Getenv("ONEDNN_MAX_CPU_ISA") != "" {
		t.Skip("already limited")
	}
	c := exec.Command(os.Args[0], "-test.run=^TestConformance$/isa=avx2|^TestTeamSize$", "-test.short", "-test.v")
	c.Env = append(os.Environ(), limit, "OPTIN_ISA=avx2")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", limit, c.Args, err, out)
	}
	if !strings.Contains(string(out), "--- PASS: TestTeamSize") {
		t.Errorf("%s ran no tests:\n%s", limit, out)
	}
}

func TestUnknownISA(t *testing.T) {
	_, err := New(Options{ISA: "sse9"})
	if err == nil || !strings.Contains(err.Error(), `"sse9"`) {
		t.Errorf("New with an unknown instruction set: error %v", err)
	}
}
