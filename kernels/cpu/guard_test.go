//go:build cgo && !asan

package cpu

import (
	"context"
	"strings"
	"testing"
	"unsafe"

	"optin/kernels"
)

// The address sanitizer would end the program at once.
func TestGuardsSeeWritesOutside(t *testing.T) {
	for _, at := range []int{-1, (5 + rowBlock - 1) * 16} {
		d := open(t, Options{Threads: 1, Guard: true})
		err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
			x := o.New(kernels.F32, 5, 16)
			cell := (*float32)(unsafe.Add(unsafe.Pointer(&x.F32[0]), 4*at))
			intact := *cell
			*cell = 1
			if err := d.CheckGuards(); err == nil || !strings.Contains(err.Error(), "f32[5, 16]") {
				t.Errorf("a write at element %d: CheckGuards says %v", at, err)
			}
			*cell = intact
			return d.CheckGuards()
		})
		if err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
