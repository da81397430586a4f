package prune_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/cpu"
)

// limited is one processor that takes no more than some bytes; 0: no limit.
func limited(t *testing.T, bytes int64) kernels.Device {
	t.Helper()
	d, err := cpu.New(cpu.Options{Threads: 1, Guard: true, Memory: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// inUse is what d holds beside the weights of some models.
func inUse(d kernels.Device, models ...model.Model) int64 {
	for _, m := range models {
		for _, w := range m.Weights() {
			d.Forget(w)
		}
	}
	d.ResetPeak()
	return d.PeakBytes()
}

// TestNothingIsHeldAfterAFailure lets the device run out of memory at every stage of all
// that runs on it.
func TestNothingIsHeldAfterAFailure(t *testing.T) {
	ctx, m := context.Background(), open(t, "bert-basic")
	ins, free := batches(t, m, "bert-basic", 40), limited(t, 0)
	var targets [][]float64
	for _, in := range ins {
		targets = append(targets, make([]float64, in.Examples()))
	}
	mask := masks(m)["random0"]
	small, err := prune.Compact(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	po := prune.DefaultProbeOptions()
	po.Probes = 8
	probes, err := prune.Probe(ctx, free, m, ins, po, nil)
	if err != nil {
		t.Fatal(err)
	}
	costs, budget := prune.CountMACs(m, prune.LengthsOf(ins...)), prune.Budget{Keep: 0.6, MinHeads: 1, MinNeurons: 1}
	curves, err := probes.Survey(ctx, free, m, ins, budget, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, work := range map[string]func(d kernels.Device) error{
		"trajectory": func(d kernels.Device) error {
			_, err := prune.Trajectory(ctx, d, m, ins, prune.DefaultOptions(), nil)
			return err
		},
		"trajectory as the authors' code has it": func(d kernels.Device) error {
			_, err := prune.Trajectory(ctx, d, m, ins, prune.Options{Tau: 4, Tap: model.TapFFN, LastHead: true}, nil)
			return err
		},
		"probes":     func(d kernels.Device) error { _, err := prune.Probe(ctx, d, m, ins, po, nil); return err },
		"again":      func(d kernels.Device) error { _, err := probes.Again(ctx, d, m, mask, ins, nil); return err },
		"gradients":  func(d kernels.Device) error { _, err := prune.MaskGradients(ctx, d, m, ins, targets, nil); return err },
		"activation": func(d kernels.Device) error { _, err := prune.ActivationNorm(ctx, d, m, ins); return err },
		"rebuild": func(d kernels.Device) error {
			_, _, err := prune.Rebuild(ctx, d, m, mask, ins, prune.DefaultRebuildOptions(), nil)
			return err
		},
		"verify": func(d kernels.Device) error { _, err := prune.Verify(ctx, d, m, small, mask, ins); return err },
		"joint": func(d kernels.Device) error {
			_, _, err := prune.JointSearch(ctx, d, m, ins, probes, costs, budget, prune.DefaultJointOptions(), 2, nil)
			return err
		},
		"survey": func(d kernels.Device) error { _, err := probes.Survey(ctx, d, m, ins, budget, nil); return err },
		"surgeon": func(d kernels.Device) error {
			_, err := prune.SurgeonSearch(ctx, d, m, ins, po, curves, costs, budget, 2, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			inUse(free, m, small)
			if err := work(free); err != nil {
				t.Fatal(err)
			}
			most, failed := free.PeakBytes(), 0
			if n := inUse(free, m, small); n != 0 {
				t.Errorf("%d bytes are held after a success", n)
			}
			for _, share := range []float64{0.05, 0.2, 0.4, 0.6, 0.75, 0.85, 0.9, 0.95, 0.98} {
				d := limited(t, int64(share*float64(most)))
				err := work(d)
				if err != nil && !errors.Is(err, kernels.ErrOutOfMemory) {
					t.Errorf("with %.0f %% of the memory: %v", 100*share, err)
				}
				if err != nil {
					failed++
				}
				if n := inUse(d, m, small); n != 0 {
					t.Errorf("with %.0f %% of the memory, %d bytes are held: %v", 100*share, n, err)
				}
			}
			if failed < 3 {
				t.Errorf("with less than %d bytes it failed %d times", most, failed)
			}
		})
	}
}

// TestKnownSitesAreNotScoredAgain goes on where the memory was out, with smaller
// micro-batches. Dead units still score exactly 0.
func TestKnownSitesAreNotScoredAgain(t *testing.T) {
	ctx, m, name := context.Background(), open(t, "bert-basic"), "bert-basic"
	mask := prune.Full(m.Sites())
	mask[0][1], mask[1][3], mask[2][2], mask[3][0] = false, false, false, false
	dead, err := prune.Zeroed(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	d, ins := limited(t, 0), batches(t, m, name, 512)
	want, err := prune.Trajectory(ctx, d, dead, ins, prune.Options{Tau: 4, Rows: 512}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(ctx)
	scored := 0
	after := func(n int) {
		if scored += n; scored > m.Sites()[0].Units+m.Sites()[1].Units {
			stop()
		}
	}
	some, err := prune.Trajectory(stopped, d, dead, ins, prune.Options{Tau: 4, Rows: 512}, after)
	if !errors.Is(err, context.Canceled) || some == nil || len(some.MD) != 2 || len(some.KD) != 2 {
		t.Fatalf("stopped in the third site: %v %v", some, err)
	}
	scored = 0
	all, err := prune.Trajectory(ctx, d, dead, prune.Recut(ins, 20), prune.Options{Tau: 4, Rows: 20, Known: some}, func(n int) { scored += n })
	if err != nil {
		t.Fatal(err)
	}
	if units := m.Sites()[2].Units + m.Sites()[3].Units; scored != units {
		t.Errorf("%d units were scored, %d were left", scored, units)
	}
	agree(t, "MD", all.MD, want.MD)
	agree(t, "KD", all.KD, want.KD)
	for s := range mask {
		for u, on := range mask[s] {
			if !on && (all.MD[s][u] != 0 || all.KD[s][u] != 0) {
				t.Errorf("unit %d of site %d is dead but scores %g and %g", u, s, all.MD[s][u], all.KD[s][u])
			}
		}
	}
}

// TestRecut keeps the examples and their order.
func TestRecut(t *testing.T) {
	m := open(t, "bert-basic")
	ins := batches(t, m, "bert-basic", 512)
	d := limited(t, 0)
	want, err := prune.Logits(context.Background(), d, m, nil, ins)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 7, 30, 1000} {
		small := prune.Recut(ins, rows)
		got, err := prune.Logits(context.Background(), d, m, nil, small)
		if err != nil {
			t.Fatal(err)
		}
		longest := 0
		for _, in := range small {
			longest = max(longest, in.Seq.Max)
		}
		for _, in := range small {
			if n := in.Seq.Rows(); n > rows+longest {
				t.Errorf("%d rows instead of %d", n, rows)
			}
		}
		if rows == 1 && len(small) < 2 {
			t.Errorf("%d micro-batches", len(small))
		}
		all := joined(want)
		for i, v := range joined(got) {
			if !(math.Abs(v-all[i]) <= 1e-5) {
				t.Errorf("%d rows: logit %d is %g, was %g", rows, i, v, all[i])
			}
		}
	}
}

func joined(lists [][]float64) (all []float64) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}
