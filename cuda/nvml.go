package cuda

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// check turns the library's status into an error that says what was being done.
func check(what string, status nvml.Return) error {
	if status == nvml.SUCCESS {
		return nil
	}
	return fmt.Errorf("nvidia management library: %s: %w", what, status)
}

// absence returns why there are no devices if status means just that, and "" if it is
// success or a real fault.
func absence(status nvml.Return) string {
	switch status {
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return "no NVIDIA driver: libnvidia-ml.so.1 was not found"
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return "the NVIDIA driver is installed but not loaded"
	case nvml.ERROR_NOT_FOUND:
		return "the NVIDIA driver found no device"
	}
	return ""
}

// supported keeps what a device answered, or the zero value if it does not offer it;
// any other status is an error.
func supported[T any](what string, value T, status nvml.Return) (T, error) {
	var zero T
	if status == nvml.ERROR_NOT_SUPPORTED || status == nvml.ERROR_NO_PERMISSION {
		return zero, nil
	}
	if err := check(what, status); err != nil {
		return zero, err
	}
	return value, nil
}
