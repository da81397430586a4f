//go:build !cgo

package cpu

import (
	"errors"

	"optin/kernels"
)

// New always fails in a program that was built without cgo.
func New(Options) (kernels.Device, error) { return nil, errNoCgo }

// MeasurePeak always fails in a program that was built without cgo.
func MeasurePeak(threads int) (gflops float64, err error) { return 0, errNoCgo }

// LibraryVersion is empty: there is no library.
func LibraryVersion() string { return "" }

var errNoCgo = errors.New("cpu: this program was built without cgo (CGO_ENABLED=0)")
