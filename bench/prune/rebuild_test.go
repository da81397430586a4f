package prune_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
)

// randomHalf keeps a random half of the units of every site.
func randomHalf(m model.Model) prune.Mask {
	rng := rand.New(rand.NewPCG(5, 6))
	mask := prune.Full(m.Sites())
	for s := range mask {
		for u := range mask[s] {
			mask[s][u] = rng.IntN(2) == 0
		}
		mask[s][0] = true
	}
	return mask
}

func rebuild(t *testing.T, d kernels.Device, m model.Model, mask prune.Mask, ins []*model.Input, o prune.RebuildOptions) (model.Model, []prune.LayerRebuild) {
	t.Helper()
	rebuilt, report, err := prune.Rebuild(context.Background(), d, m, mask, ins, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report) != len(m.Sites()) {
		t.Fatalf("%d sites in the report, the model has %d", len(report), len(m.Sites()))
	}
	return rebuilt, report
}

// values are a parameter's.
func values(t *testing.T, m model.Model, name string) []float32 {
	t.Helper()
	p := m.Params().Get(name)
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	v := make([]float32, n)
	if err := p.Read(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// with is m with other values of some parameters.
func with(t *testing.T, m model.Model, changed map[string][]float32) model.Model {
	t.Helper()
	var params []*model.Param
	for name, v := range changed {
		p := *m.Params().Get(name)
		p.Read = func(dst []float32) error { copy(dst, v); return nil }
		params = append(params, &p)
	}
	out, err := model.New(m.Config(), m.Params().With(params...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// twins is m with unit 1 of every site making the same values as unit 0; what
// reads them stays different.
func twins(t *testing.T, m model.Model) model.Model {
	t.Helper()
	changed := map[string][]float32{}
	for _, site := range m.Sites() {
		for _, name := range site.Producers {
			v := values(t, m, name)
			own := len(v) / site.Units
			copy(v[own:2*own], v[:own])
			changed[name] = v
		}
	}
	return with(t, m, changed)
}

// A unit whose values are another's can go: what reads them reads the other.
func TestRebuildAbsorbsATwin(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic", "deit-odd"} {
		m, d := twins(t, open(t, name)), device(t, 2)
		ins := batches(t, m, name, 60)
		mask := prune.Full(m.Sites())
		for s := range mask {
			mask[s][1] = false
		}
		o := prune.DefaultRebuildOptions()
		o.Ridges = []float64{1e-12}
		rebuilt, report := rebuild(t, d, m, mask, ins, o)
		want, err := prune.Logits(context.Background(), d, m, nil, ins)
		if err != nil {
			t.Fatal(err)
		}
		got, err := prune.Logits(context.Background(), d, rebuilt, mask, ins)
		if err != nil {
			t.Fatal(err)
		}
		for b := range want {
			for i, w := range want[b] {
				if !(math.Abs(got[b][i]-w) <= 1e-4*math.Abs(w)+1e-5) {
					t.Errorf("%s: logit %g, the dense model's is %g", name, got[b][i], w)
				}
			}
		}
		for _, r := range report {
			if !(r.HeldOut.Before > 1e-6 && r.HeldOut.After < 1e-6*r.HeldOut.Before) {
				t.Errorf("%s: %v: held-out error %g, then %g: %s", name, r.Site, r.HeldOut.Before, r.HeldOut.After, r.Reason)
			}
		}
	}
}

// What is rebuilt compacts to itself, whatever is left of the sites.
func TestRebuiltModelCompacts(t *testing.T) {
	for method, names := range map[prune.RebuildMethod][]string{
		prune.LeastSquares: {"bert-basic", "bert-f16", "vit-no-qkv-bias", "deit-distilled"},
		prune.Scale:        {"bert-f16"},
	} {
		for _, name := range names {
			m, d := open(t, name), device(t, 2)
			ins := batches(t, m, name, 60)
			o := prune.DefaultRebuildOptions()
			o.Method, o.Ridges = method, []float64{1e-2}
			for what, mask := range masks(m) {
				t.Run(fmt.Sprintf("method=%v/model=%s/mask=%s", method, name, what), func(t *testing.T) {
					rebuilt, _ := rebuild(t, d, m, mask, ins, o)
					small, err := prune.Compact(rebuilt, mask)
					if err != nil {
						t.Fatal(err)
					}
					dir := filepath.Join(t.TempDir(), "rebuilt")
					if err := model.Save(small, dir, "", nil); err != nil {
						t.Fatal(err)
					}
					again, closeModel, err := model.Open(dir)
					if err != nil {
						t.Fatal(err)
					}
					defer closeModel()
					for _, compact := range []model.Model{small, again} {
						for _, use := range []prune.Mask{mask, prune.Full(m.Sites())} {
							v, err := prune.Verify(context.Background(), d, rebuilt, compact, use, ins)
							if err != nil {
								t.Fatal(err)
							}
							if err := v.Err(); err != nil {
								t.Error(err)
							}
						}
					}
				})
			}
		}
	}
}

func TestRebuildDoesNotDependOnWorkers(t *testing.T) {
	for _, name := range []string{"bert-odd", "deit-distilled"} {
		for _, method := range []prune.RebuildMethod{prune.LeastSquares, prune.Scale} {
			var first string
			for _, workers := range []int{1, 2, 2} {
				m, d := open(t, name), processor(t, workers)
				o := prune.DefaultRebuildOptions()
				o.Method = method
				rebuilt, report := rebuild(t, d, m, randomHalf(m), batches(t, m, name, 20), o)
				text, err := json.Marshal(report)
				if err != nil {
					t.Fatal(err)
				}
				all := string(text)
				for _, p := range rebuilt.Params().Names() {
					all += fmt.Sprint(values(t, rebuilt, p))
				}
				if first == "" {
					first = all
				} else if first != all {
					t.Errorf("%s, %v: %d workers rebuild another model", name, method, workers)
				}
			}
		}
	}
}

func TestRebuildRefuses(t *testing.T) {
	m, d := open(t, "bert-basic"), device(t, 1)
	ins := batches(t, m, "bert-basic", 60)
	mask := randomHalf(m)
	for _, c := range []struct {
		want   string
		mask   prune.Mask
		ins    []*model.Input
		change func(o *prune.RebuildOptions)
	}{
		{"above 0 and below 1", mask, ins, func(o *prune.RebuildOptions) { o.HeldOut = 0 }},
		{"above 0 and below 1", mask, ins, func(o *prune.RebuildOptions) { o.HeldOut = 1 }},
		{"above 0 and below 1", mask, ins, func(o *prune.RebuildOptions) { o.HeldOut = math.NaN() }},
		{"no ridges", mask, ins, func(o *prune.RebuildOptions) { o.Ridges = nil }},
		{"ridge -1", mask, ins, func(o *prune.RebuildOptions) { o.Ridges = []float64{1, -1} }},
		{"ridge NaN", mask, ins, func(o *prune.RebuildOptions) { o.Ridges = []float64{math.NaN()} }},
		{"ridge +Inf", mask, ins, func(o *prune.RebuildOptions) { o.Ridges = []float64{math.Inf(1)} }},
		{"the reference has no method least-squares", mask, ins, func(o *prune.RebuildOptions) { o.Reference = true }},
		{"no samples", mask, nil, nil},
		{"1 calibration sequence", mask, []*model.Input{model.Text([][]int32{{1, 2}}, [][]int32{{0, 0}})}, nil},
		{"the mask has 3 sites", mask[:3], ins, nil},
		{"the mask has 2 units", prune.Mask{mask[0][:2], mask[1], mask[2], mask[3]}, ins, nil},
	} {
		o := prune.DefaultRebuildOptions()
		if c.change != nil {
			c.change(&o)
		}
		if _, _, err := prune.Rebuild(context.Background(), d, m, c.mask, c.ins, o, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := prune.Rebuild(done, d, m, mask, ins, prune.DefaultRebuildOptions(), nil); err == nil {
		t.Error("a cancelled rebuild is no error")
	}
}

// Nothing is left of a site: its bias alone makes up for the mean.
func TestRebuildOfAnEmptySite(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic"} {
		m, d := open(t, name), device(t, 2)
		ins := batches(t, m, name, 60)
		mask := prune.Full(m.Sites())
		clear(mask[1])
		rebuilt, report := rebuild(t, d, m, mask, ins, prune.DefaultRebuildOptions())
		if !report[1].Rebuilt || report[1].Kept != 0 {
			t.Fatalf("%s: %+v", name, report[1])
		}
		zeroed, err := prune.Zeroed(rebuilt, mask)
		if err != nil {
			t.Fatal(err)
		}
		_, want := captured(t, d, m, ins, 1)
		_, got := captured(t, d, zeroed, ins, 1)
		got.Sub(want, got)
		rows, hidden := got.Dims()
		for c := range hidden {
			if mean := mat.Sum(got.ColView(c)) / float64(rows); !(math.Abs(mean) < 1e-6) {
				t.Errorf("%s: column %d is off by %g on average", name, c, mean)
			}
		}
	}
}

func TestRebuildIsNeverWorseOnHeldOutTokens(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-odd", "vit-basic", "deit-distilled"} {
		for _, method := range []prune.RebuildMethod{prune.LeastSquares, prune.Scale} {
			m, d := open(t, name), device(t, 2)
			o := prune.DefaultRebuildOptions()
			o.Method = method
			changed := 0
			rebuilt, report := rebuild(t, d, m, randomHalf(m), batches(t, m, name, 60), o)
			for _, r := range report {
				same := slices.Equal(values(t, m, r.Site.ConsumerBias()), values(t, rebuilt, r.Site.ConsumerBias()))
				switch {
				case r.Rebuilt:
					changed++
					if !(r.HeldOut.After < r.HeldOut.Before) || r.Reason != "" {
						t.Errorf("%s, %v: %+v is rebuilt", name, method, r)
					}
				case r.HeldOut.After != r.HeldOut.Before || r.Fitted.After != r.Fitted.Before || r.Reason == "" || !same:
					t.Errorf("%s, %v: %+v is not rebuilt", name, method, r)
				}
			}
			if changed == 0 {
				t.Errorf("%s, %v: no site is rebuilt", name, method)
			}
		}
	}
}

func TestRebuildOfADenseModelChangesNothing(t *testing.T) {
	m, d := open(t, "bert-odd"), device(t, 1)
	rebuilt, report := rebuild(t, d, m, prune.Full(m.Sites()), batches(t, m, "bert-odd", 60), prune.DefaultRebuildOptions())
	for _, r := range report {
		if r.Rebuilt || r.HeldOut != (prune.FitError{}) || !strings.Contains(r.Reason, "no error") {
			t.Errorf("%+v", r)
		}
	}
	for _, name := range m.Params().Names() {
		if !slices.Equal(values(t, m, name), values(t, rebuilt, name)) {
			t.Errorf("%s has changed", name)
		}
	}
}

// Without a ridge, fewer tokens than columns have no one solution, and the
// report says so.
func TestRebuildSaysWhatCannotBeSolved(t *testing.T) {
	m, d := open(t, "bert-basic"), device(t, 1)
	ins := []*model.Input{model.Text([][]int32{{1, 2, 3}, {4, 5, 6}}, [][]int32{{0, 0, 0}, {0, 0, 0}})}
	o := prune.DefaultRebuildOptions()
	o.Ridges = []float64{0}
	mask := prune.Full(m.Sites())
	mask[0][1], mask[1][3] = false, false
	_, report := rebuild(t, d, m, mask, ins, o)
	for _, r := range report {
		if r.Rebuilt || !strings.Contains(r.Reason, "ridge 0: the normal equations") {
			t.Errorf("%+v", r)
		}
	}
}

// Padding is no token, wherever a batch ends.
func TestRebuildLeavesPaddingOut(t *testing.T) {
	m, d := open(t, "bert-odd"), device(t, 2)
	ids, types := sentences(t, "bert-odd")
	lengths := make([]int, len(ids))
	for i := range lengths {
		lengths[i] = 30
	}
	mask, o := randomHalf(m), prune.DefaultRebuildOptions()
	packed, _ := rebuild(t, d, m, mask, []*model.Input{model.Text(ids, types)}, o)
	padded, _ := rebuild(t, d, m, mask, []*model.Input{
		model.PaddedText(ids[:2], types[:2], lengths[:2], 0), model.PaddedText(ids[2:], types[2:], lengths[2:], 0)}, o)
	for _, name := range m.Params().Names() {
		want, got := values(t, packed, name), values(t, padded, name)
		for i, w := range want {
			if !(math.Abs(float64(got[i]-w)) <= 1e-5*math.Abs(float64(w))+1e-5) {
				t.Fatalf("%s: value %d is %g with padding, %g without", name, i, got[i], w)
			}
		}
	}
}

// What is summed up in float32 is the reference's, to what makes no difference.
func TestRebuildOnTheProcessor(t *testing.T) {
	for _, name := range []string{"bert-basic", "deit-distilled"} {
		m := open(t, name)
		ins, mask, o := batches(t, m, name, 60), randomHalf(m), prune.DefaultRebuildOptions()
		o.Ridges = []float64{1e-2}
		want, _ := rebuild(t, device(t, 2), m, mask, ins, o)
		got, _ := rebuild(t, processor(t, 2), m, mask, ins, o)
		for _, p := range m.Params().Names() {
			a, b := values(t, want, p), values(t, got, p)
			for i := range a {
				if !(math.Abs(float64(a[i]-b[i])) <= 2e-3*math.Abs(float64(a[i]))+2e-4) {
					t.Fatalf("%s: %s: value %d is %g, the reference has %g", name, p, i, b[i], a[i])
				}
			}
		}
	}
}
