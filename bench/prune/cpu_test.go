package prune_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"testing"

	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/cpu"
)

func processor(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := cpu.New(cpu.Options{Threads: workers, Guard: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// In float32 a score is as exact as its unit's effect is large beside rounding:
// 1e-3 of the score, and what rounding leaves of the largest one.
func TestProcessorScoresLikeTheReference(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic", "deit-odd", "bert-regression"} {
		for _, rows := range []int{40, 512} {
			t.Run(fmt.Sprintf("model=%s/rows=%d", name, rows), func(t *testing.T) {
				m := open(t, name)
				ins := batches(t, m, name, rows)
				o := prune.DefaultOptions()
				o.Rows = rows
				var parts []*prune.Parts
				for _, d := range []kernels.Device{device(t, 2), processor(t, 1), processor(t, 2)} {
					p, err := prune.Trajectory(context.Background(), d, m, ins, o, nil)
					if err != nil {
						t.Fatal(err)
					}
					parts = append(parts, p)
				}
				if fmt.Sprint(parts[1]) != fmt.Sprint(parts[2]) {
					t.Error("scores of 1 and 2 workers differ")
				}
				agree(t, "MD", parts[1].MD, parts[0].MD)
				agree(t, "KD", parts[1].KD, parts[0].KD)
			})
		}
	}
}

func agree(t *testing.T, what string, got, want [][]float64) {
	t.Helper()
	largest := 0.0
	for _, site := range want {
		for _, v := range site {
			largest = max(largest, v)
		}
	}
	for s := range want {
		for u, w := range want[s] {
			if !(math.Abs(got[s][u]-w) <= 1e-3*w+1e-9*largest) {
				t.Errorf("%s of unit %d at site %d: %g, the reference has %g", what, u, s, got[s][u], w)
			}
		}
	}
}

// A unit that does nothing changes no bit, whatever instructions oneDNN uses.
func TestDeadUnitsScoreZeroOnTheProcessor(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic"} {
		for _, rows := range []int{40, 512} { // one variant at a time, and several in a batch
			m, d := open(t, name), processor(t, 2)
			mask := prune.Full(m.Sites())
			mask[0][1], mask[1][3], mask[3][0] = false, false, false
			dead, err := prune.Zeroed(m, mask)
			if err != nil {
				t.Fatal(err)
			}
			o := prune.DefaultOptions()
			o.Rows = rows
			parts, err := prune.Trajectory(context.Background(), d, dead, batches(t, m, name, rows), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			for s := range mask {
				for u, on := range mask[s] {
					if zero := parts.MD[s][u] == 0 && parts.KD[s][u] == 0; !on && !zero {
						t.Errorf("%s, %d rows: %v unit %d is dead but scores MD %g, KD %g", name, rows, m.Sites()[s], u, parts.MD[s][u], parts.KD[s][u])
					}
				}
			}
		}
	}
}

// oneDNN reads its limit once per process.
func TestDeadUnitsScoreZeroWithAVX2(t *testing.T) {
	if os.Getenv("ONEDNN_MAX_CPU_ISA") != "" {
		t.Skip("this process is limited already")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDeadUnitsScoreZeroOnTheProcessor$")
	cmd.Env = append(os.Environ(), "ONEDNN_MAX_CPU_ISA=AVX2", "OPTIN_ISA=avx2")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestCompactedModelIsTheMaskedOneOnTheProcessor(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-no-qkv-bias", "deit-distilled"} {
		m, d := open(t, name), processor(t, 2)
		ins := batches(t, m, name, 60)
		for what, mask := range masks(m) {
			small, err := prune.Compact(m, mask)
			if err != nil {
				t.Fatal(err)
			}
			v, err := prune.Verify(context.Background(), d, m, small, mask, ins)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Err(); err != nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}
