//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"

	"gorgonia.org/cu"

	"optin/kernels"
	kernelcode "optin/kernels/cuda"
)

// gpu is what the workers of one device share.
type gpu struct {
	*Context
	index   int
	modules []cu.Module
	homes   map[string]cu.Module // of the kernels

	chip
	room  int64        // bytes that were free before any of this device
	taken atomic.Int64 // bytes since then, but for shared tensors

	// The addresses of these are the keys under which weights keep their copies on this
	// device: in float32, and in the format of a lower precision.
	form, roundedForm byte

	mu        sync.Mutex
	functions map[string]cu.Function
}

// chip is what, of a device, may change in which order cuBLAS adds.
type chip struct {
	name                        string
	capability, multiprocessors int
}

// suits says whether there are kernels for a device, which it does not open.
func suits(index int, images fs.FS) error {
	device, err := find(index)
	if err != nil {
		return err
	}
	major, minor, err := device.ComputeCapability()
	if err != nil {
		return failure(fmt.Sprintf("device %d: compute capability", index), err)
	}
	if _, err = kernelcode.Select(images, 10*major+minor); err != nil {
		return fmt.Errorf("cuda: device %d: %w", index, err)
	}
	return nil
}

// openGPU opens a device for one of so many workers, and loads the kernels that fit it.
func openGPU(index int, images fs.FS, workers int) (*gpu, error) {
	if err := waitAsleep(index, workers); err != nil {
		return nil, err
	}
	context, err := Open(index)
	if err != nil {
		return nil, err
	}
	g := &gpu{Context: context, index: index, homes: make(map[string]cu.Module), functions: make(map[string]cu.Function)}
	if err := g.do(func() error { return g.load(images) }); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// waitAsleep makes workers that wait for the device give up their processor, where each
// would keep one busy and there are no more than that.
func waitAsleep(index, workers int) error {
	device, err := find(index)
	if err != nil {
		return err
	}
	flags := cu.SchedAuto
	if runtime.GOMAXPROCS(0) <= workers {
		flags = cu.SchedBlockingSync
	}
	return failure(fmt.Sprintf("device %d: cuDevicePrimaryCtxSetFlags", index), device.SetPrimaryCtxFlags(flags))
}

func (g *gpu) load(images fs.FS) error {
	major, minor, err := g.Capability()
	if err != nil {
		return failure("compute capability", err)
	}
	g.capability = 10*major + minor
	if g.name, err = g.device.Name(); err != nil {
		return failure("cuDeviceGetName", err)
	}
	if g.multiprocessors, err = g.device.Attribute(cu.MultiprocessorCount); err != nil {
		return failure("multiprocessors", err)
	}
	list, err := kernelcode.Select(images, g.capability)
	if err != nil {
		return fmt.Errorf("cuda: device %d: %w", g.index, err)
	}
	for _, image := range list {
		if err := g.loadImage(image); err != nil {
			return err
		}
	}
	g.room, _, err = g.Memory()
	return failure("cuMemGetInfo", err)
}

func (g *gpu) loadImage(image kernelcode.Image) error {
	module, err := cu.LoadData(string(image.Code))
	if err != nil {
		err = failure(fmt.Sprintf("device %d: cuModuleLoadData of %s", g.index, image.Name), err)
		if errors.Is(err, kernels.ErrOutOfMemory) {
			return err
		}
		return fmt.Errorf("%w: if the driver, for CUDA %s, is older than what \"make cuda\" compiled with, update it", err, versionText(cu.Version()))
	}
	g.modules = append(g.modules, module)
	for _, name := range image.Kernels() {
		g.homes[name] = module
	}
	return nil
}

// do calls f on a thread that has the device's context, wherever it is called from.
func (g *gpu) do(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := cu.CurrentContext()
	if err != nil {
		return failure("cuCtxGetCurrent", err)
	}
	if err := g.Bind(); err != nil {
		return err
	}
	err = f()
	return errors.Join(err, failure("cuCtxSetCurrent", cu.SetCurrentContext(before)))
}

// drop frees the copies of w on this device.
func (g *gpu) drop(w *kernels.Weight) {
	w.Drop(&g.form)
	w.Drop(&g.roundedForm)
}

// function is the kernel called name. Only the module that has it is asked: a checker of
// calls would report the others' answers as errors.
func (g *gpu) function(name string) (cu.Function, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.functions[name]; ok {
		return f, nil
	}
	home, ok := g.homes[name]
	if !ok {
		return cu.Function{}, fmt.Errorf("cuda: no kernel %s in this build: run \"make cuda\" again", name)
	}
	f, err := home.Function(name)
	if err != nil {
		return cu.Function{}, failure("cuModuleGetFunction of "+name, err)
	}
	g.functions[name] = f
	return f, nil
}

func (g *gpu) close() error {
	err := g.do(func() error {
		var all error
		for _, m := range g.modules {
			all = errors.Join(all, failure("cuModuleUnload", m.Unload()))
		}
		return all
	})
	g.modules = nil
	return errors.Join(err, failure("cuDevicePrimaryCtxRelease", g.Close()))
}

// memory accounts for bytes that are taken, and for the most that were.
type memory struct{ bytes, peak atomic.Int64 }

// grow accounts for n more bytes (fewer where n is negative).
func (m *memory) grow(n int) {
	now := m.bytes.Add(int64(n))
	for {
		peak := m.peak.Load()
		if now <= peak || m.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}
