package main

import (
	"context"
	"math"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
)

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
