package roofline

import (
	"context"
	"math"
	"reflect"
	"testing"

	"optin/kernels"
	"optin/kernels/cpu"
	"optin/kernels/ref"
)

// TestCasesHaveEveryOp: what has no case would be missing from the table.
func TestCasesHaveEveryOp(t *testing.T) {
	has := map[string]bool{"Tally": true}
	for _, c := range Cases(Tiny(2, 8)) {
		has[c.Op] = true
	}
	memory := reflect.TypeFor[kernels.Memory]()
	for m := range reflect.TypeFor[kernels.Backward]().Methods() {
		if _, free := memory.MethodByName(m.Name); !free && !has[m.Name] {
			t.Errorf("no case of %s", m.Name)
		}
	}
	if !has["Copy"] {
		t.Error("no case of Copy")
	}
}

// TestCasesBookTheirOwnOp: what is timed is what is counted.
func TestCasesBookTheirOwnOp(t *testing.T) {
	for _, c := range Cases(BERTBase(2, 8)) {
		var booked []string
		dev := NewTracer(func(op string, _ Launch) { booked = append(booked, op) })
		in := newInputs(dev)
		run := c.open(in)
		booked = nil
		if err := dev.One(context.Background(), func(ops kernels.Ops) error { run(ops.(kernels.Backward)); return nil }); err != nil {
			t.Fatal(err)
		}
		dev.Close()
		for _, op := range booked {
			if op != c.Op && op != c.Op+" epilogue" {
				t.Errorf("%s %s books %v", c.Op, c.Shape, booked)
			}
		}
		if len(booked) == 0 || in.bytes == 0 {
			t.Errorf("%s %s books %v and works on %d bytes", c.Op, c.Shape, booked, in.bytes)
		}
	}
}

// TestCasesLikeTheReference runs every case on the processor as it will be timed.
func TestCasesLikeTheReference(t *testing.T) {
	exact, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer exact.Close()
	fast, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	for _, c := range Cases(Tiny(3, 7)) {
		want, got := values(t, exact, c), values(t, fast, c)
		largest := 0.0
		for _, v := range want {
			largest = max(largest, math.Abs(v))
		}
		if largest == 0 || len(got) != len(want) {
			t.Errorf("%s %s: the largest of %d values is %v", c.Op, c.Shape, len(want), largest)
			continue
		}
		for i, w := range want {
			if !(math.Abs(got[i]-w) <= 1e-5*largest) {
				t.Errorf("%s %s: element %d is %v, the reference has %v", c.Op, c.Shape, i, got[i], w)
				break
			}
		}
	}
}

// values are those that a case gives on a device.
func values(t *testing.T, dev kernels.Device, c Case) (out []float64) {
	t.Helper()
	in := newInputs(dev)
	defer in.free()
	run := c.open(in)
	err := dev.Each(context.Background(), 1, func(ops kernels.Ops, _ int) error {
		y := run(ops.(kernels.Backward))
		out = make([]float64, y.Len())
		ops.Download(y, out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
