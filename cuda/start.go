//go:build cuda

package cuda

// #include <cuda.h>
// #include "start.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"

	"gorgonia.org/cu"
)

// oldestCUDA is what a driver must be able to run, as it says it.
const oldestCUDA = 11080

var errNoDevice = errors.New("cuda: the NVIDIA driver has no device for this program (CUDA_VISIBLE_DEVICES can hide them)")

// Available is nil if this machine has a device that a program can compute on. If not, the
// error says what is missing and what to do.
func Available() error {
	_, err := start()
	return err
}

// start starts the driver, which may have been started before, and counts its devices: at
// least one, where there is no error.
func start() (devices int, err error) {
	runtime.LockOSThread() // what the C library says of a failure is for this thread
	defer runtime.UnlockOSThread()
	var result C.int
	if why := C.optin_cuda_start(&result); why != nil {
		return 0, fmt.Errorf("cuda: no NVIDIA driver (%s): install the driver of the GPU, for CUDA 11.8 or later", C.GoString(why))
	}
	switch result {
	case C.CUDA_SUCCESS:
	case C.CUDA_ERROR_NO_DEVICE:
		return 0, errNoDevice
	default:
		return 0, fmt.Errorf("cuda: the NVIDIA driver does not start: cuInit: %w", status(result))
	}
	if v := cu.Version(); v < oldestCUDA {
		return 0, fmt.Errorf("cuda: the NVIDIA driver is for CUDA %s: update it to one for CUDA %s or later", versionText(v), versionText(oldestCUDA))
	}
	if devices, err = cu.NumDevices(); err != nil {
		return 0, failure("cuDeviceGetCount", err)
	}
	if devices == 0 {
		return 0, errNoDevice
	}
	return devices, nil
}

// versionText is such as "12.4".
func versionText(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
