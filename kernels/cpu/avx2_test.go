//go:build cgo && !asan

package cpu

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Without AVX-512 oneDNN clears the room behind tensors with memset, which the
// address sanitizer would take for ours.

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
