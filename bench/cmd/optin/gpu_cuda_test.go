//go:build cuda

package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/record"
	"optin/cuda"
)

// programs is the folder of optin and optin-cuda, as scripts/test-cuda built them.
func programs(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("OPTIN_PROGRAMS")
	if folder == "" {
		t.Fatal("this test is run by scripts/test-cuda, which builds the programs that it is about")
	}
	return folder
}

// emulated says whether the driver is the emulator's, so that it can be taken away.
func emulated() bool { return os.Getenv("CUEMU_IMAGES") != "" }

// noDriver is an environment without a driver.
const noDriver = "LD_LIBRARY_PATH=/nowhere"

// start runs a program in an environment that has more variables.
func start(t *testing.T, program string, env []string, args ...string) result {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, report bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &report
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), report.String()}
}

// copied is a folder with one of the programs.
func copied(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Link(filepath.Join(programs(t), name), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// nearly wants two predictions of the same inputs to agree, and says whether
// they are equal.
func nearly(t *testing.T, got, want []prediction) bool {
	t.Helper()
	same := len(got) == len(want)
	for i := range want {
		for j, w := range want[i].Logits {
			if g := got[i].Logits[j]; !(math.Abs(g-w) <= 1e-5*(1+math.Abs(w))) {
				t.Errorf("%s: logits %v, want %v", want[i].Input, got[i].Logits, want[i].Logits)
			}
			same = same && got[i].Logits[j] == w
		}
	}
	return same
}

// TestGPU asks both programs for a GPU, and for whatever there is.
func TestGPU(t *testing.T) {
	args := []string{"predict", "--model", textModel(t, "bert-basic"), "--text", "a b  'c'", "--device"}
	both := []string{filepath.Join(programs(t), "optin"), filepath.Join(programs(t), gpuProgram)}
	want := predictions(t, works(t, append(args, "ref")...))
	onCPU := predictions(t, works(t, append(args, "cpu")...))
	for _, program := range both {
		for _, device := range []string{"cuda", "auto"} {
			r := start(t, program, nil, append(args, device)...)
			if r.code != 0 || r.report != "" {
				t.Errorf("%s --device %s: status %d: %s", program, device, r.code, r.report)
				continue
			}
			got := predictions(t, r.out)
			nearly(t, got, want)
			if nearly(t, got, onCPU) {
				t.Errorf("%s --device %s computes on the CPU", program, device)
			}
		}
	}
	r := start(t, both[0], nil, append(args[:3:3], "--device", "cuda")...)
	if r.code != exitUsage || !strings.Contains(r.report, "predict takes --model FOLDER and one of") {
		t.Errorf("a usage error has status %d: %s", r.code, r.report)
	}
}

// TestNoGPU asks for a GPU where there is none, or no program for it.
func TestNoGPU(t *testing.T) {
	alone, damaged := copied(t, "optin"), copied(t, "optin")
	put(t, filepath.Dir(damaged), map[string]string{gpuProgram: "not a program"})
	cpuOnly, gpu := filepath.Join(programs(t), "optin"), filepath.Join(programs(t), gpuProgram)
	const notBuilt, instead = `built without CUDA, and there is no`, `; or use device = "cpu"`
	for _, c := range []struct {
		name, program, env string
		must, can          string // what is reported where a GPU is asked for, and for "auto"
	}{
		{"no program", alone, "", notBuilt, notBuilt},
		{"damaged program", damaged, "", "cannot run " + filepath.Join(filepath.Dir(damaged), gpuProgram), "cannot run"},
		{"no driver", cpuOnly, noDriver, "no NVIDIA driver (libcuda.so.1: ", ""},
		{"no driver", gpu, noDriver, "no NVIDIA driver (libcuda.so.1: ", "no NVIDIA driver (libcuda.so.1: "},
		{"no driver, no program", alone, noDriver, notBuilt, ""},
		{"no device", cpuOnly, "CUEMU_DEVICES=0", "no device for this program (CUDA_VISIBLE_DEVICES", ""},
		{"no device", gpu, "CUEMU_DEVICES=0", "no device for this program", "no device for this program"},
		{"old driver", cpuOnly, "CUEMU_VERSION=11070", "driver is for CUDA 11.7: update it to one for CUDA 11.8 or later", "driver is for CUDA 11.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.env != "" && !emulated() {
				t.Skip("there is a GPU, which cannot be taken away")
			}
			args := []string{"predict", "--model", textModel(t, "bert-basic"), "--text", "a", "--device"}
			r := start(t, c.program, []string{c.env}, append(args, "cuda")...)
			if r.code != exitFailed || !strings.Contains(r.report, c.must) || strings.Count(r.report, "\n") != 1 || r.out != "" {
				t.Errorf("device cuda: status %d: %s", r.code, r.report)
			}
			if c.program != damaged && !strings.Contains(r.report, instead) {
				t.Errorf("no remedy in %s", r.report)
			}
			r = start(t, c.program, []string{c.env}, append(args, "auto")...)
			if c.program == damaged {
				if r.code != exitFailed || !strings.Contains(r.report, c.can) {
					t.Errorf("device auto: status %d: %s", r.code, r.report)
				}
				return
			}
			lines := 0
			if c.can != "" {
				lines = 1
			}
			if r.code != 0 || strings.Count(r.report, "\n") != lines || !strings.Contains(r.report, c.can) || len(predictions(t, r.out)) != 1 {
				t.Errorf("device auto: status %d: %s", r.code, r.report)
			}
			if r := start(t, c.program, []string{c.env}, append(args, "cpu")...); r.code != 0 || r.report != "" {
				t.Errorf("device cpu: status %d: %s", r.code, r.report)
			}
		})
	}
}

// TestHiddenGPU is where the driver's library is, and not the one that lists devices: a
// container may have but that. The program without CUDA leaves it to the one with CUDA.
func TestHiddenGPU(t *testing.T) {
	if !emulated() {
		t.Skip("there is a GPU, which cannot be hidden")
	}
	folder := t.TempDir()
	for _, file := range []string{"libcuda.so.1", "libcublas.so.12"} {
		if err := os.Symlink(filepath.Join(os.Getenv("CUEMU_IMAGES"), "..", file), filepath.Join(folder, file)); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"predict", "--model", textModel(t, "bert-basic"), "--text", "a b  'c'", "--device", "auto"}
	onCPU := predictions(t, works(t, append(args[:5:5], "--device", "cpu")...))
	r := start(t, filepath.Join(programs(t), "optin"), []string{"LD_LIBRARY_PATH=" + folder}, args...)
	if r.code != 0 || r.report != "" || nearly(t, predictions(t, r.out), onCPU) {
		t.Errorf("status %d, on the CPU or not: %s%s", r.code, r.out, r.report)
	}
	r = start(t, copied(t, "optin"), []string{"LD_LIBRARY_PATH=" + folder}, args...)
	if r.code != 0 || !strings.Contains(r.report, "the CPU is used, and no GPU: this program was built without CUDA") {
		t.Errorf("no program for it: status %d: %s", r.code, r.report)
	}
}

// TestKernelOfGPUGoesWrong ends an experiment in the middle, while much is to be freed.
func TestKernelOfGPUGoesWrong(t *testing.T) {
	if !emulated() {
		t.Skip("a GPU's kernels do not go wrong on demand")
	}
	path, _ := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	for _, n := range []string{"1", "40", "400"} {
		r := start(t, filepath.Join(programs(t), gpuProgram), []string{"CUEMU_FAULT=" + n}, "run", path, "--device", "cuda")
		for _, part := range []string{"CUDA_ERROR_ILLEGAL_ADDRESS (700)", "the last call here was ", "CUDA_LAUNCH_BLOCKING=1"} {
			if r.code != exitFailed || !strings.Contains(r.report, part) || strings.Contains(r.report, "goroutine") {
				t.Errorf("kernel %s: status %d, want %q in: %s", n, r.code, part, r.report)
			}
		}
	}
}

// TestPrecisionOfGPU runs an experiment in every precision, with the scores of the first.
func TestPrecisionOfGPU(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	program := filepath.Join(programs(t), gpuProgram)
	for _, p := range cuda.Precisions() {
		r := start(t, program, nil, "run", path, "--device", "cuda", "--threads", "1", "--set", "precision="+string(p))
		if r.code != exitOK {
			t.Fatalf("precision %s: status %d: %s", p, r.code, r.report)
		}
		rec, err := record.Load(filepath.Join(results, recordFile))
		if err != nil {
			t.Fatal(err)
		}
		want := string(p)
		if p == cuda.Float32 {
			want = ""
		}
		if rec.Provenance.Precision != want {
			t.Errorf("precision %s: the record says %q", p, rec.Provenance.Precision)
		}
		for _, s := range rec.Runs[0].Stages {
			if evaluates := s.Name == "evaluate"; p != cuda.Float32 && s.Cached == evaluates {
				t.Errorf("precision %s: stage %s is cached: %t", p, s.Name, s.Cached)
			}
		}
	}
}

// TestVersionOfGPU shows the devices.
func TestVersionOfGPU(t *testing.T) {
	for program, want := range map[string]string{"optin": "computed on by optin-cuda beside", gpuProgram: "compute 9.0"} {
		r := start(t, filepath.Join(programs(t), program), nil, "version")
		if r.code != 0 || !strings.Contains(r.out, want) || strings.Contains(r.out, "not computed on") || !strings.Contains(r.out, "cuda     0: ") {
			t.Errorf("%s version:\n%s%s", program, r.out, r.report)
		}
	}
}
