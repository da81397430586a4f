package roofline

import (
	"context"
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
)

// TestEveryOpIsBooked runs the conformance programs: what is not booked would be missing
// from every floor.
func TestEveryOpIsBooked(t *testing.T) {
	free := map[string]bool{} // copies between host and device
	for _, op := range []string{"New", "Upload", "UploadInts", "Download", "Mark", "Release"} {
		free[op] = true
	}
	for _, p := range kerneltest.Programs(true) {
		booked := map[string]bool{}
		var operations int64
		dev := NewTracer(func(op string, l Launch) { booked[op] = true; operations += l.Operations })
		run, forget := p.Open(1)
		if err := dev.One(context.Background(), func(ops kernels.Ops) error {
			run(ops)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		forget(dev)
		tally := dev.Tally()
		dev.Close()
		if !booked[p.Op] && !free[p.Op] {
			t.Errorf("%s %s: booked %v", p.Op, p.Shape, booked)
		}
		if operations != 2*(tally.MACs+tally.LossMACs) {
			t.Errorf("%s %s: %v operations, the tally has %+v", p.Op, p.Shape, operations, tally)
		}
	}
}

func TestFloor(t *testing.T) {
	chip := Chip{Bytes: 10, Float32: 100, Float64: 50, TF32: 1000, BF16: 2000}
	for _, c := range []struct {
		name       string
		launch     Launch
		at         Precision
		want       float64
		arithmetic bool
	}{
		{"memory", Launch{Bytes: 20, Operations: 100}, InFloat32, 2, false},
		{"arithmetic", Launch{Bytes: 20, Operations: 400}, InFloat32, 4, true},
		{"double", Launch{Unit: Double, Bytes: 20, Operations: 400}, InBF16, 8, true},
		{"dense", Launch{Unit: Dense, Bytes: 20, Operations: 4000}, InFloat32, 40, true},
		{"dense in tf32", Launch{Unit: Dense, Bytes: 20, Operations: 4000}, InTF32, 4, true},
		{"dense in bf16", Launch{Unit: Dense, Bytes: 20, Operations: 4000}, InBF16, 2, false},
		{"weights in tf32", Launch{Unit: Dense, Bytes: 50, Weights: 20, Fused: 10}, InTF32, 4, false},
		{"weights in bf16", Launch{Unit: Dense, Bytes: 50, Weights: 20, Fused: 10}, InBF16, 3, false},
		{"plain in bf16", Launch{Bytes: 20, Operations: 4000}, InBF16, 40, true},
		{"not fused", Launch{Bytes: 50, Fused: 40}, InFloat32, 5, false},
		{"fused", Launch{Bytes: 50, Fused: 40}, InTF32, 1, false},
	} {
		got, arithmetic := chip.Floor(c.launch, c.at)
		if got != c.want || arithmetic != c.arithmetic {
			t.Errorf("%s: %v seconds (arithmetic %v), want %v (%v)", c.name, got, arithmetic, c.want, c.arithmetic)
		}
	}
}
