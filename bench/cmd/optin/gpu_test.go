package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/cuda"
)

// TestNotBuilt asks the program without CUDA for a GPU, where there is no other.
func TestNotBuilt(t *testing.T) {
	if cuda.Built {
		t.Skip("this build has CUDA")
	}
	path, _ := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	fails(t, exitFailed, []string{`device = "cuda"`, "built without CUDA", "there is no /", `build it with "make cuda"`, `use device = "cpu"`},
		"run", path, "--set", "device=cuda")
}

// TestUsable: a device that does not answer is told of, and does not keep the others from use.
func TestUsable(t *testing.T) {
	fault, broken := errors.New("device 1: lost"), errors.New("no library")
	for _, c := range []struct {
		found  cuda.Devices
		err    error
		usable bool
		told   string
	}{
		{cuda.Devices{Absent: "no driver"}, nil, false, "<nil>"},
		{cuda.Devices{List: make([]cuda.Device, 1)}, nil, true, "<nil>"},
		{cuda.Devices{Hidden: true}, nil, true, "<nil>"},
		{cuda.Devices{Faults: []error{fault}}, nil, false, fault.Error()},
		{cuda.Devices{List: make([]cuda.Device, 1), Faults: []error{fault}}, nil, true, fault.Error()},
		{cuda.Devices{}, broken, false, broken.Error()},
	} {
		if got, err := usable(c.found, c.err); got != c.usable || fmt.Sprint(err) != c.told {
			t.Errorf("%+v, error %v: %t, told %v", c.found, c.err, got, err)
		}
	}
}

// TestPrecisionOfCPU asks a device for a precision that it does not have.
func TestPrecisionOfCPU(t *testing.T) {
	path, _ := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	for _, device := range []string{"cpu", "ref"} {
		fails(t, exitFailed, []string{`precision = "bf16": device ` + device + ` computes in float32 only: use device = "cuda", or precision = "float32"`},
			"run", path, "--device", device, "--set", "precision=bf16")
	}
	fails(t, exitFailed, []string{`precision is "int8"`, `"float32", "tf32", "fp16" or "bf16"`}, "run", path, "--set", "precision=int8")
}

// TestHandedOver is this program where another revision of it went over to it.
func TestHandedOver(t *testing.T) {
	t.Setenv(handedBy, revision)
	if r := optin(t, "keys"); r.code != 0 || r.report != "" {
		t.Errorf("from the same revision: status %d: %s", r.code, r.report)
	}
	t.Setenv(handedBy, "abcdef")
	if r := optin(t, "keys"); r.code != 0 || strings.Count(r.report, "\n") != 1 || !strings.Contains(r.report, "optin-cuda is of revision unknown and optin of abcdef") {
		t.Errorf("from another revision: status %d: %s", r.code, r.report)
	}
}

// TestOwnSibling puts the program itself where its build with CUDA should be: it must not
// call itself for ever.
func TestOwnSibling(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(own), gpuProgram)
	if err := os.Link(own, path); err != nil {
		t.Skip(err)
	}
	defer os.Remove(path)
	if _, err := beside(); err == nil || !strings.Contains(err.Error(), path+` was built without CUDA: build it with "make cuda"`) {
		t.Errorf("error %v", err)
	}
}
