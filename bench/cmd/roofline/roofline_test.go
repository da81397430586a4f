package main

import (
	"context"
	"math"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
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
		dev := newTracer()
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
		if _, ok := dev.book[p.Op]; !ok && !free[p.Op] {
			t.Errorf("%s %s: booked %v", p.Op, p.Shape, dev.book)
		}
		if got, want := dev.book.total().operations, tally; got != 2*float64(want.MACs+want.LossMACs) {
			t.Errorf("%s %s: %v operations, the tally has %+v", p.Op, p.Shape, got, want)
		}
	}
}

func TestForwardCountsWhatPruneCounts(t *testing.T) {
	m, err := bert(2)
	if err != nil {
		t.Fatal(err)
	}
	book, err := plan{sequences: 3, length: 7}.forward(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	want := 2 * float64(prune.CountMACs(m, prune.LengthsOf([]*model.Input{text(3, 7)}...)).Total())
	if got := book.total().operations; got != want {
		t.Errorf("%v operations, want %v", got, want)
	}
	// Each of the 12 products of the blocks reads its weights.
	if least := 4.0 * 2 * (4*768*768 + 2*768*3072); book["Linear"].bytes < least {
		t.Errorf("Linear moves %v bytes, want at least the blocks' weights, %v", book["Linear"].bytes, least)
	}
}

func TestFloor(t *testing.T) {
	chip := Chip{Bytes: 10, Float32: 100, Float64: 50, TF32: 1000, BF16: 2000}
	for _, c := range []struct {
		name       string
		launch     launch
		at         precision
		want       float64
		arithmetic bool
	}{
		{"memory", launch{bytes: 20, operations: 100}, inFloat32, 2, false},
		{"arithmetic", launch{bytes: 20, operations: 400}, inFloat32, 4, true},
		{"double", launch{unit: float64s, bytes: 20, operations: 400}, inBF16, 8, true},
		{"dense", launch{unit: dense, bytes: 20, operations: 4000}, inFloat32, 40, true},
		{"dense in tf32", launch{unit: dense, bytes: 20, operations: 4000}, inTF32, 4, true},
		{"dense in bf16", launch{unit: dense, bytes: 20, operations: 4000}, inBF16, 2, false},
		{"plain in bf16", launch{bytes: 20, operations: 4000}, inBF16, 40, true},
		{"not fused", launch{bytes: 50, fused: 40}, inFloat32, 5, false},
		{"fused", launch{bytes: 50, fused: 40}, inTF32, 1, false},
	} {
		got, arithmetic := chip.floor(c.launch, c.at)
		if got != c.want || arithmetic != c.arithmetic {
			t.Errorf("%s: %v seconds (arithmetic %v), want %v (%v)", c.name, got, arithmetic, c.want, c.arithmetic)
		}
	}
}

// TestExactScoringIsLinear compares what is counted for all neurons with what two runs
// with some of them foretell.
func TestExactScoringIsLinear(t *testing.T) {
	m, err := bert(1)
	if err != nil {
		t.Fatal(err)
	}
	p := plan{sequences: 2, length: 8, rows: 2 * 8 * 512}
	foretold, err := p.exact(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.scored(context.Background(), m, 3072)
	if err != nil {
		t.Fatal(err)
	}
	got, want := foretold.total(), all.total()
	if d := math.Abs(got.operations/want.operations - 1); !(d < 1e-9) {
		t.Errorf("%v operations, want %v", got.operations, want.operations)
	}
	if d := math.Abs(got.bytes/want.bytes - 1); !(d < 0.01) {
		t.Errorf("%v bytes, want %v", got.bytes, want.bytes)
	}
}

func TestRunPrintsAllWork(t *testing.T) {
	var out strings.Builder
	p := plan{sequences: 2, length: 8, layers: 2, rows: 1024, probes: 5}
	if err := p.run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nforward\n", "\nexact scoring", "\nestimated scoring", "A100", "H100",
		"Attention", "AttentionBackward", "GramAdd", "total with dense products in tf32"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "NaN") {
		t.Errorf("NaN in\n%s", out.String())
	}
	if err := (plan{}).run(context.Background(), &out); err == nil {
		t.Error("a plan of nothing ran")
	}
}
