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

// status is an error of the driver by its number, which it has names for that package cu,
// of CUDA 11.0, does not know.
type status C.CUresult

func (s status) Error() string {
	var name, text *C.char
	if C.cuGetErrorName(C.CUresult(s), &name) != C.CUDA_SUCCESS || C.cuGetErrorString(C.CUresult(s), &text) != C.CUDA_SUCCESS {
		return fmt.Sprintf("CUDA error %d", int(s))
	}
	return fmt.Sprintf("%s (%d): %s", C.GoString(name), int(s), C.GoString(text))
}

// failure is the error of a call that did not succeed; nil stays nil.
func failure(call string, err error) error {
	if err == nil {
		return nil
	}
	if n, ok := numberOf(cu.Success, err); ok {
		err = status(n)
	}
	if err == status(C.CUDA_ERROR_OUT_OF_MEMORY) {
		return fmt.Errorf("cuda: %s: the device is %w", call, kernels.ErrOutOfMemory)
	}
	return fmt.Errorf("cuda: %s: %w", call, err)
}

// numberOf finds an error of package cu, whose type has no name outside of it, in err.
func numberOf[T interface {
	~int
	error
}](_ T, err error) (int, bool) {
	var number T
	found := errors.As(err, &number)
	return int(number), found
}

// lost says whether err means that a kernel, or the device itself, went wrong: from then on
// every call fails.
func lost(err error) bool {
	var s status
	if !errors.As(err, &s) {
		return false
	}
	switch s {
	case C.CUDA_ERROR_ECC_UNCORRECTABLE, C.CUDA_ERROR_NVLINK_UNCORRECTABLE, C.CUDA_ERROR_ILLEGAL_ADDRESS, C.CUDA_ERROR_LAUNCH_TIMEOUT,
		C.CUDA_ERROR_ASSERT, C.CUDA_ERROR_HARDWARE_STACK_ERROR, C.CUDA_ERROR_ILLEGAL_INSTRUCTION, C.CUDA_ERROR_MISALIGNED_ADDRESS,
		C.CUDA_ERROR_INVALID_ADDRESS_SPACE, C.CUDA_ERROR_INVALID_PC, C.CUDA_ERROR_LAUNCH_FAILED,
		C.CUDA_ERROR_EXTERNAL_DEVICE, C.CUDA_ERROR_CONTEXT_IS_DESTROYED, C.CUDA_ERROR_UNKNOWN:
		return true
	}
	return false
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
	if result := C.cuMemAllocHost(&p, C.size_t(n)); result != C.CUDA_SUCCESS {
		return nil, fmt.Errorf("cuda: cuMemAllocHost of %d bytes: %w", n, status(result))
	}
	return p, nil
}

func freePinned(p unsafe.Pointer) error {
	if result := C.cuMemFreeHost(p); result != C.CUDA_SUCCESS {
		return fmt.Errorf("cuda: cuMemFreeHost: %w", status(result))
	}
	return nil
}

// allowShared lets a kernel take so many bytes of dynamic shared memory, and as much of a
// multiprocessor's memory as can be shared, for as many blocks as fit. Package cu lacks it.
func allowShared(f cu.Function, bytes int) error {
	handle := *(*C.CUfunction)(unsafe.Pointer(&f)) // a cu.Function is that alone
	result := C.cuFuncSetAttribute(handle, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes))
	if result == C.CUDA_SUCCESS {
		result = C.cuFuncSetAttribute(handle, C.CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, C.CU_SHAREDMEM_CARVEOUT_MAX_SHARED)
	}
	switch result {
	case C.CUDA_SUCCESS:
		return nil
	case C.CUDA_ERROR_INVALID_VALUE:
		return fmt.Errorf("cuda: the device does not give a block %d bytes of shared memory: it needs compute capability 8.0 or higher", bytes)
	}
	return fmt.Errorf("cuda: cuFuncSetAttribute: %w", status(result))
}
