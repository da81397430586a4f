package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"optin/cuda"
	"optin/kernels"
	"optin/kernels/cpu"
)

// gpuProgram is this program built with CUDA, which lies beside it.
const gpuProgram = "optin-cuda"

// handedBy is the variable in which a program tells the one that goes on for it
// its revision.
const handedBy = "OPTIN_HANDED_BY"

// handOver is the error of work that another program is to do, with the same
// arguments.
type handOver struct{ program string }

func (h handOver) Error() string { return "to be done by " + h.program }

// execute makes this process that program. It returns where that fails.
func (h handOver) execute(args []string) error {
	err := syscall.Exec(h.program, append([]string{h.program}, args...), append(os.Environ(), handedBy+"="+revision))
	return fmt.Errorf(`cannot run %s: %w: build it again with "make cuda", or use device = "cpu"`, h.program, err)
}

// handedOver warns where the program that this one goes on for is of another revision.
func handedOver() string {
	from, ok := os.LookupEnv(handedBy)
	if !ok || from == revision {
		return ""
	}
	return fmt.Sprintf(`%s is of revision %s and optin of %s: build both again with "make build cuda"`, gpuProgram, orUnknown(revision), orUnknown(from))
}

// openGPU opens the GPUs of this machine, in this program if it was built with
// CUDA, and tells stderr what is not used. If not, the error is a handOver to the
// one beside it that was.
func openGPU(threads int, stderr io.Writer) (kernels.Device, error) {
	if cuda.Built {
		return cuda.New(cuda.Options{Workers: threads, Log: func(line string) { fmt.Fprintln(stderr, "optin: "+line) }})
	}
	path, err := beside()
	if err != nil {
		return nil, err
	}
	return nil, handOver{path}
}

// beside is the path of gpuProgram.
func beside() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(own), gpuProgram)
	found, err := os.Stat(path)
	if err != nil || found.IsDir() {
		return "", fmt.Errorf(`this program was built without CUDA, and there is no %s: build it with "make cuda"`, path)
	}
	if self, err := os.Stat(own); err == nil && os.SameFile(self, found) {
		return "", fmt.Errorf(`%s was built without CUDA: build it with "make cuda"`, path)
	}
	return path, nil
}

// openAuto opens a GPU where there is one, and the CPU otherwise: why a GPU
// cannot be used, it tells stderr.
func openAuto(threads int, stderr io.Writer) (kernels.Device, error) {
	found, err := hasGPU()
	if found && err != nil {
		fmt.Fprintf(stderr, "optin: not used: %v\n", err)
	}
	if found {
		var dev kernels.Device
		if dev, err = openGPU(threads, stderr); err == nil || errors.As(err, &handOver{}) {
			return dev, err
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "optin: the CPU is used, and no GPU: %v\n", err)
	}
	return cpu.New(cpu.Options{Threads: threads})
}

// hasGPU says whether this machine has a GPU, or may have one. A program built
// with CUDA asks CUDA, and takes it for an error that there is none; any other is
// content without, and asks the management library.
func hasGPU() (bool, error) {
	if cuda.Built {
		err := cuda.Available()
		return err == nil, err
	}
	return usable(cuda.Discover())
}

// usable says whether what was found may be computed on, and what is wrong with the rest.
func usable(found cuda.Devices, err error) (bool, error) {
	return len(found.List) > 0 || found.Hidden, errors.Join(append(found.Faults, err)...)
}
