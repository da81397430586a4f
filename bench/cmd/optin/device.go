package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"optin/bench/experiment"
	"optin/bench/progress"
	"optin/cuda"
	"optin/kernels"
	"optin/kernels/cpu"
	"optin/kernels/ref"

	"golang.org/x/term"
)

// openDevice opens the device of that name. note, if not empty, is what its
// user should know.
func openDevice(name string, threads int) (dev kernels.Device, note string, err error) {
	switch name {
	case "auto":
		note = unusedGPU()
		fallthrough
	case "cpu":
		dev, err = cpu.New(cpu.Options{Threads: threads})
	case "ref":
		if threads == 0 {
			threads = 1
		}
		dev, err = ref.New(threads)
	case "cuda":
		return nil, "", fmt.Errorf(`device = "cuda": this version does not compute on GPUs yet; use device = "cpu" or "auto"`)
	default:
		return nil, "", usageError{fmt.Errorf("device %q: want auto, cpu, cuda or ref", name)}
	}
	return dev, note, err
}

// unusedGPU says that there is a GPU and that it is not used.
func unusedGPU() string {
	found, err := cuda.Discover()
	if err != nil || len(found.List) == 0 {
		return ""
	}
	var names []string
	for _, d := range found.List {
		names = append(names, d.Name)
	}
	return fmt.Sprintf("%s found, but this version does not compute on GPUs yet: the CPU is used", strings.Join(names, ", "))
}

// newHost opens the device and the surroundings of an experiment. What it
// returns last closes them.
func newHost(device string, threads int, stderr io.Writer) (*experiment.Host, func(), error) {
	digest, err := programDigest()
	if err != nil {
		return nil, nil, err
	}
	dev, note, err := openDevice(device, threads)
	if err != nil {
		return nil, nil, err
	}
	if note != "" {
		fmt.Fprintln(stderr, "optin:", note)
	}
	bars := progress.New(stderr, terminal(stderr))
	h := &experiment.Host{
		Device: dev, Progress: bars, Log: logger{stderr, bars},
		Exact:   func() (kernels.Device, error) { return ref.New(dev.Workers()) },
		Version: version, Revision: revision, Digest: digest, Libraries: map[string]string{"oneDNN": cpu.LibraryVersion()},
	}
	if dev.Name() == "cpu" {
		h.Peak = func() (float64, error) {
			gflops, err := cpu.MeasurePeak(dev.Workers())
			return gflops * 1e9, err
		}
	}
	return h, func() { bars.Close(); dev.Close() }, nil
}

// logger prints lines between the bars.
type logger struct {
	w    io.Writer
	bars *progress.Progress
}

func (l logger) Write(line []byte) (int, error) {
	if l.bars != nil {
		return l.bars.Write(line)
	}
	return l.w.Write(line)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// programDigest hashes the running program: results stored by another build are
// not taken for this one's.
func programDigest() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16]), nil
}
