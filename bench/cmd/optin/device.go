package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"optin/bench/experiment"
	"optin/bench/progress"
	"optin/cuda"
	"optin/kernels"
	"optin/kernels/cpu"
	"optin/kernels/ref"

	"golang.org/x/term"
)

// openDevice opens the device of that name, and tells stderr what its user
// should know. The error may be a handOver.
func openDevice(name string, threads int, stderr io.Writer) (kernels.Device, error) {
	switch name {
	case "auto":
		return openAuto(threads, stderr)
	case "cpu":
		return cpu.New(cpu.Options{Threads: threads})
	case "ref":
		if threads == 0 {
			threads = 1
		}
		return ref.New(threads)
	case "cuda":
		dev, err := openGPU(threads, stderr)
		if err != nil && !errors.As(err, &handOver{}) {
			err = fmt.Errorf(`device = "cuda": %w; or use device = "cpu"`, err)
		}
		return dev, err
	}
	return nil, usageError{fmt.Errorf("device %q: want auto, cpu, cuda or ref", name)}
}

// openFast opens a device like dev that computes in a lower precision, or none for
// float32.
func openFast(dev kernels.Device, precision string, threads int) (kernels.Device, error) {
	if precision == experiment.Float32 {
		return nil, nil
	}
	if dev.Name() != "cuda" {
		return nil, fmt.Errorf(`precision = %q: device %s computes in float32 only: use device = "cuda", or precision = %q`, precision, dev.Name(), experiment.Float32)
	}
	return cuda.New(cuda.Options{Workers: threads, Precision: cuda.Precision(precision)})
}

// newHost opens the device and the surroundings of an experiment. What it
// returns last closes them.
func newHost(device, precision string, threads int, stderr io.Writer) (*experiment.Host, func(), error) {
	digest, err := programDigest()
	if err != nil {
		return nil, nil, err
	}
	dev, err := openDevice(device, threads, stderr)
	if err != nil {
		return nil, nil, err
	}
	fast, err := openFast(dev, precision, threads)
	if err != nil {
		dev.Close()
		return nil, nil, err
	}
	bars := progress.New(stderr, terminal(stderr))
	h := &experiment.Host{
		Device: dev, Fast: fast, Progress: bars, Log: logger{stderr, bars},
		Exact:   func() (kernels.Device, error) { return ref.New(processors(dev)) },
		Version: version, Revision: revision, Digest: digest, Libraries: libraries(dev), Rows: rowsFor(dev),
	}
	if dev.Name() == "cpu" {
		h.Peak = func() (float64, error) {
			gflops, err := cpu.MeasurePeak(dev.Workers())
			return gflops * 1e9, err
		}
	}
	return h, func() {
		bars.Close()
		dev.Close()
		if fast != nil {
			fast.Close()
		}
	}, nil
}

// processors is how many of them may work beside dev.
func processors(dev kernels.Device) int {
	if dev.Name() == "cuda" {
		return runtime.NumCPU()
	}
	return dev.Workers()
}

// libraries are the versions of what dev computes with.
func libraries(dev kernels.Device) map[string]string {
	if d, ok := dev.(interface{ Libraries() map[string]string }); ok {
		return d.Libraries()
	}
	return map[string]string{"oneDNN": cpu.LibraryVersion()}
}

// rowsFor is how many packed rows of a micro-batch fill dev; 0: the usual number.
func rowsFor(dev kernels.Device) int {
	if dev.Name() == "cuda" {
		return 8192 // at a width of 768 that is 384 tiles of 128 x 128, about three for each processor of an A100 or H100
	}
	return 0
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
