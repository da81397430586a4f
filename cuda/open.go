//go:build cuda

package cuda

import (
	"fmt"

	"gorgonia.org/cu"
)

// Built says whether this build can open a device.
const Built = true

// Context is a device opened for computing: its primary context, which libraries such as
// cuBLAS share.
type Context struct {
	device cu.Device
	ctx    cu.CUContext
}

// Open opens device index, in CUDA's own order, which CUDA_VISIBLE_DEVICES can change.
func Open(index int) (*Context, error) {
	device, err := find(index)
	if err != nil {
		return nil, err
	}
	ctx, err := device.RetainPrimaryCtx()
	if err != nil {
		return nil, failure(fmt.Sprintf("device %d: cuDevicePrimaryCtxRetain", index), err)
	}
	return &Context{device: device, ctx: ctx}, nil
}

// find is device index, if there is one.
func find(index int) (cu.Device, error) {
	count, err := start()
	if err != nil {
		return 0, err
	}
	if index < 0 || index >= count {
		return 0, fmt.Errorf("cuda: no device %d: CUDA sees %d, counted from 0", index, count)
	}
	device, err := cu.GetDevice(index)
	return device, failure(fmt.Sprintf("device %d: cuDeviceGet", index), err)
}

// Bind makes the context current on the calling thread, which must be locked to its
// goroutine (runtime.LockOSThread).
func (c *Context) Bind() error {
	return failure("cuCtxSetCurrent", cu.SetCurrentContext(c.ctx))
}

// Name is the device's, such as "NVIDIA H100 80GB HBM3".
func (c *Context) Name() (string, error) { return c.device.Name() }

// UUID names the device as [Device.UUID] does, whatever the order.
func (c *Context) UUID() (string, error) {
	id, err := c.device.UUID()
	return "GPU-" + id.String(), err
}

// Capability is the compute capability, such as 9 and 0.
func (c *Context) Capability() (major, minor int, err error) { return c.device.ComputeCapability() }

// Memory is the device's memory in bytes; the context must be bound.
func (c *Context) Memory() (free, total int64, err error) { return cu.MemInfo() }

// Synchronize waits for everything that was launched; the context must be bound.
func (c *Context) Synchronize() error { return cu.Synchronize() }

// Close releases the context; later calls do nothing.
func (c *Context) Close() error {
	if c.ctx == (cu.CUContext{}) {
		return nil
	}
	c.ctx = cu.CUContext{}
	return c.device.ReleasePrimaryCtx()
}
