//go:build cuda

package cuda

// #cgo CFLAGS: -I/usr/local/cuda/include -I/opt/cuda/include
// #cgo LDFLAGS: -L/usr/local/cuda/lib64 -L/usr/local/cuda/lib64/stubs -L/opt/cuda/lib64 -lcuda
// #include <cuda.h>
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

// failure is the error of a call that did not succeed; nil stays nil.
func failure(call string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cu.OutOfMemory):
		return fmt.Errorf("cuda: %s: the device is %w", call, kernels.ErrOutOfMemory)
	}
	return fmt.Errorf("cuda: %s: %w", call, err)
}

// must raises the error of a call.
func must(call string, err error) {
	if err != nil {
		kernels.Fail(failure(call, err))
	}
}

// allocPinned takes n bytes of host memory that the device copies from and to by itself,
// which package cu lacks.
func allocPinned(n int) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	if status := C.cuMemAllocHost(&p, C.size_t(n)); status != C.CUDA_SUCCESS {
		return nil, fmt.Errorf("cuda: cuMemAllocHost of %d bytes: %s", n, statusName(status))
	}
	return p, nil
}

func freePinned(p unsafe.Pointer) error {
	if status := C.cuMemFreeHost(p); status != C.CUDA_SUCCESS {
		return fmt.Errorf("cuda: cuMemFreeHost: %s", statusName(status))
	}
	return nil
}

func statusName(status C.CUresult) string {
	var name *C.char
	if C.cuGetErrorName(status, &name) != C.CUDA_SUCCESS {
		return fmt.Sprintf("status %d", int(status))
	}
	return C.GoString(name)
}
