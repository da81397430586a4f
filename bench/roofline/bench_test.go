package roofline

import (
	"context"
	"strings"
	"testing"

	"optin/bench/measure"
	"optin/kernels"
	"optin/kernels/ref"
)

// TestTime times every op at a tiny shape. How long they take is no matter; what is counted
// is that of all workers.
func TestTime(t *testing.T) {
	const workers = 2
	dev, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	b := &Bench{Device: dev, Shape: Tiny(4, 4), Options: QuickOptions(), Watcher: hotDevice{}}
	cases := b.Cases()
	rates, rows, err := b.Run(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	if !(rates.Bytes > 0 && rates.Plain > 0 && rates.Dense > 0) || len(rows) != len(cases) {
		t.Fatalf("rates %+v, %d rows", rates, len(rows))
	}
	for i, row := range rows {
		work, err := cases[i].count()
		if err != nil {
			t.Fatal(err)
		}
		var bytes, operations int64
		for _, l := range work.launches {
			bytes, operations = bytes+l.Bytes, operations+l.Operations
		}
		if row.Bytes != workers*bytes || row.Operations != workers*operations || bytes == 0 {
			t.Errorf("%s %s: %d bytes and %d operations, want %d times %d and %d", row.Op, row.Shape, row.Bytes, row.Operations, workers, bytes, operations)
		}
		if !(row.Floor > 0 && row.Seconds.Value > 0 && row.Share() > 0) {
			t.Errorf("%+v", row)
		}
	}
	// Products count their operations: 4 sequences of 4 tokens, 32 wide.
	for _, r := range rows {
		if want := int64(2 * 16 * 32 * 32); r.Op == "MatMul" && r.Operations != want {
			t.Errorf("MatMul has %d operations, want %d", r.Operations, want)
		}
	}
	var out strings.Builder
	if err := Print(&out, rows, func(op string) string { return "as " + op }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), " %, throttled: power limit in 50 % of readings\n"); got != len(rows) || !strings.Contains(out.String(), "as AttentionBackward") {
		t.Errorf("the table is\n%s", out.String())
	}
}

// TestNarrow: weights in 16 bits are half of what others are.
func TestNarrow(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	const rows, in, out = 8, 16, 32
	linear := Shape{Sequences: 2, Length: 4}.linear("", in, out, func(*inputs) kernels.Epilogue { return kernels.Epilogue{} })
	b := &Bench{Device: dev, Options: QuickOptions(), Narrow: true}
	_, got, err := b.Run(t.Context(), []Case{linear})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(4*rows*(in+out) + 2*in*out); got[0].Bytes != want {
		t.Errorf("%d bytes, want %d", got[0].Bytes, want)
	}
}

// hotDevice reports that it was slowed down.
type hotDevice struct{ measure.Unwatched }

func (hotDevice) Stop() measure.Telemetry {
	return measure.Telemetry{Throttles: []measure.Throttle{{Reason: "power limit", Share: 0.5}}}
}

// broken is a device that has no memory to give.
type broken struct{ kernels.Device }

func (broken) Alloc(kernels.DType, int, int) (*kernels.Tensor, error) {
	return nil, context.DeadlineExceeded
}

func TestTimeFails(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	b := &Bench{Device: broken{dev}, Shape: Tiny(1, 4), Options: QuickOptions()}
	if _, err := b.rates(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "Copy 16 x 1024: ") {
		t.Errorf("without memory: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Device = dev
	if _, err := b.rates(ctx); err == nil {
		t.Error("went on after it was stopped")
	}
}

func TestRatesFloor(t *testing.T) {
	r := Rates{Bytes: 10, Plain: 100, Dense: 1000}
	for _, c := range []struct {
		name       string
		launch     Launch
		want       float64
		arithmetic bool
	}{
		{"memory", Launch{Bytes: 20, Operations: 100}, 2, false},
		{"arithmetic", Launch{Bytes: 20, Operations: 400}, 4, true},
		{"double", Launch{Unit: Double, Bytes: 20, Operations: 400}, 4, true},
		{"dense", Launch{Unit: Dense, Bytes: 20, Operations: 4000}, 4, true},
		{"fused", Launch{Unit: Dense, Bytes: 50, Fused: 40}, 1, false},
	} {
		if got, arithmetic := r.Floor(c.launch); got != c.want || arithmetic != c.arithmetic {
			t.Errorf("%s: %v seconds (arithmetic %v), want %v (%v)", c.name, got, arithmetic, c.want, c.arithmetic)
		}
	}
	if got, want := r.best(Rates{5, 200, 2000}), (Rates{10, 200, 2000}); got != want {
		t.Errorf("the best rates are %+v, want %+v", got, want)
	}
	row := Row{Op: "Add", Shape: "2 x 2", Seconds: measure.Estimate{Value: 0.004, Low: 0.0038, High: 0.0042}}
	row.bound([]Launch{{Bytes: 2e6, Operations: 1e6}, {Bytes: 5e5}}, 2, Rates{Bytes: 1e10, Plain: 2.5e9})
	var out strings.Builder
	if err := Print(&out, []Row{row}, func(string) string { return "yes" }); err != nil {
		t.Fatal(err)
	}
	want := "op   one worker's share  checked  time  ±    MB  Mop  floor  limit       share reached\n" +
		"Add  2 x 2               yes      4ms   5 %  5   2    900µs  arithmetic  22.5 %\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// TestSets: calls work on as many sets of data as no cache holds, and memory does.
func TestSets(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	b := &Bench{Device: dev, Options: Options{CacheBytes: 1000, InputBytes: 3000}}
	for _, c := range []struct{ moved, inputs, want int64 }{
		{100, 100, 11}, {1000, 100, 2}, {5000, 100, 1}, {100, 1000, 3}, {100, 9000, 1}, {1, 1, mostSets},
	} {
		if got := b.sets(work{[]Launch{{Bytes: c.moved}}, c.inputs}); int64(got) != c.want {
			t.Errorf("%+v: %d sets", c, got)
		}
	}
}
