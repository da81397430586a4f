package experiment

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
)

// differing are the fields of two structs that differ, as name=value of b.
func differing(a, b any) []string {
	var list []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			list = append(list, fmt.Sprintf("%s=%v", x.Type().Field(i).Name, y.Field(i).Interface()))
		}
	}
	return list
}

// TestSwitches sets every key of [score] that changes how scores are measured
// or weighed, and looks for the one field that it is to change.
func TestSwitches(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.txt")
	if err := os.WriteFile(file, []byte("4 5\n\n6"), 0o666); err != nil {
		t.Fatal(err)
	}
	standard := mustParse(t, minimal).Expand()[0].Score
	tested := []string{"method", "mode", "estimate", "samples", "random_seed", "md_padding", "kinds"} // act elsewhere
	for _, c := range []struct{ set, measured, weighed string }{
		{"seed=3", "TokenSeed=3", ""},
		{"loss=md", "NoKD=true", "NoKD=true"},
		{"loss=kd", "NoMD=true", "NoMD=true"},
		{"lambda=7", "", "Lambda=7"},
		{"balance=none", "", "Balance=1"},
		{"tau=2.5", "Tau=2.5", ""},
		{"depth=3", "Depth=3", ""},
		{"group=5", "Group=5", ""},
		{"tap=ffn", "Tap=1", ""},
		{"md_reduce=mean", "MeanOfGram=true", ""},
		{"md_tokens=9", "Tokens=9", ""},
		{"md_tokens=3 token_file=" + file, "Tokens=3 TokenList=[4 5 6]", ""},
		{"tau_divides=false", "RawLogits=true", ""},
		{"kl_factor=unit", "", "Balance=2"},
		{"kl_factor=running", "", "Balance=3"},
		{"regression_kl=zero", "", "NoRegression=true"},
		{"cumulative_last_head=true", "LastHead=true", ""},
		{"index_weights=true", "", "IndexWeights=true"},
		{"last_layer_weight=0.3", "", "LastLayer=0.3"},
		{"last_layer_neuron_weight=0.2", "", "LastNeurons=0.2"},
		{"head_weight=0.7", "", "Heads=0.7"},
		{"neuron_weight=0.6", "", "Neurons=0.6"},
	} {
		var sets []string
		for _, s := range strings.Fields(c.set) {
			sets = append(sets, "score."+s)
			name, _, _ := strings.Cut(s, "=")
			tested = append(tested, name)
		}
		score := mustParse(t, minimal, sets...).Expand()[0].Score
		before, err := standard.options()
		if err != nil {
			t.Fatal(err)
		}
		after, err := score.options()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(differing(before, after), " "); got != c.measured {
			t.Errorf("%s changes prune.Options %q, want %q", c.set, got, c.measured)
		}
		if got := strings.Join(differing(standard.weighing(), score.weighing()), " "); got != c.weighed {
			t.Errorf("%s changes prune.Weighing %q, want %q", c.set, got, c.weighed)
		}
	}
	for _, k := range new(Run).keys(0) {
		estimates := k.methods != nil && !k.readBy(Trajectory) // by probes, or of another method
		if k.table == "score" && !estimates && !slices.Contains(tested, k.name) {
			t.Errorf("score.%s is not tested here", k.name)
		}
	}
}

// TestStandardScore compares the defaults of the file with those of the method.
func TestStandardScore(t *testing.T) {
	score := mustParse(t, minimal).Expand()[0].Score
	o, err := score.options()
	if err != nil {
		t.Fatal(err)
	}
	if d := differing(prune.DefaultOptions(), o); len(d) > 1 || len(d) == 1 && d[0] != "TokenSeed=1" {
		t.Errorf("the file's defaults measure otherwise than the method's: %v", d)
	}
	if d := differing(prune.DefaultWeighing(), score.weighing()); d != nil {
		t.Errorf("the file's defaults weigh otherwise than the method's: %v", d)
	}
}

// TestReferenceScore compares the modes with what the documentation of the keys
// says of them, and with what scoring makes of it.
func TestReferenceScore(t *testing.T) {
	for mode, want := range map[string]struct {
		o prune.Options
		w prune.Weighing
	}{
		Reference: {
			prune.Options{Tau: 4, Tap: model.TapFFN, Group: 128, RawLogits: true, LastHead: true, Tokens: 768, TokenSeed: 1},
			prune.Weighing{Lambda: 10, Balance: prune.BalanceUnit, IndexWeights: true, LastLayer: 0.5, LastNeurons: 1, Heads: 0.5, Neurons: 1, NoRegression: true},
		},
		ReferenceVision: {
			prune.Options{Tau: 4, Group: 32, RawLogits: true, LastHead: true, Tokens: 768, TokenSeed: 1},
			prune.Weighing{Lambda: 100, Balance: prune.BalanceUnit, LastLayer: 1, LastNeurons: 1e-4, Heads: 0.5, Neurons: 1, NoRegression: true},
		},
	} {
		run := mustParse(t, minimal, "score.mode="+mode).Expand()[0]
		for _, k := range run.keys(1) {
			if k.table == "score" && k.name != "mode" && literal(k.get()) != literal(k.fallback(mode)) {
				t.Errorf("mode %s: score.%s is %v, but optin keys says %v", mode, k.name, k.get(), k.fallback(mode))
			}
		}
		o, err := run.Score.options()
		if err != nil {
			t.Fatal(err)
		}
		if d := differing(want.o, o); d != nil {
			t.Errorf("mode %s measures otherwise: %v", mode, d)
		}
		if d := differing(want.w, run.Score.weighing()); d != nil {
			t.Errorf("mode %s weighs otherwise: %v", mode, d)
		}
		if !run.Score.MDPadding {
			t.Errorf("mode %s: padding is left out", mode)
		}
	}
}

func TestLengths(t *testing.T) {
	c := &Calibration{Lengths: prune.Lengths{Sequences: 3, Tokens: 20, TokenPairs: 150}}
	if got := (Search{}).lengths(c); got != c.Lengths {
		t.Errorf("seq_len 0 counts for %+v, want the calibration's %+v", got, c.Lengths)
	}
	for length, want := range map[float64]prune.Lengths{
		128:  {Sequences: 1000, Tokens: 128000, TokenPairs: 16384000},
		38.5: {Sequences: 1000, Tokens: 38500, TokenPairs: 1482250},
	} {
		if got := (Search{SeqLen: length}).lengths(c); got != want {
			t.Errorf("seq_len %v counts for %+v, want %+v", length, got, want)
		}
	}
}

func TestModelNames(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{minimal + "[search]\nkeep = [0.5, 0.6]", []string{"m"}},
		{"model = ['a/m', 'b/m']\ntask = 'wordnet'", []string{"a/m on wordnet", "b/m on wordnet"}},
		{"model = 'a/m'\ntask = ['mrpc', 'rte']", []string{"a/m on mrpc", "a/m on rte"}},
		{"[model]\npath = ['x', 'y']\n[task]\nname='wordnet'\nmax_length = [8, 16]",
			[]string{"x on wordnet max_length=8", "x on wordnet max_length=16", "y on wordnet max_length=8", "y on wordnet max_length=16"}},
		{minimal + "[evaluate]\nsplit = ['dev', 'test']", []string{`m on wordnet split="dev"`, `m on wordnet split="test"`}},
	} {
		runs := mustParse(t, c.text).Expand()
		names := modelNames(runs)
		var got []string
		for _, r := range runs {
			if n := names[r.denseKey()]; !slices.Contains(got, n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestKinds compares the scores of a baseline with and without the key.
func TestKinds(t *testing.T) {
	dir, cfg := texts3(t)
	perMAC := func(kinds string) map[string]float64 {
		p := mustParse(t, minimal, "model.path="+dir, "task.name="+cfg.Name, "task.path="+cfg.Path,
			"score.method=magnitude", "score.kinds="+kinds, "output="+t.TempDir())
		all, err := (&Host{Device: device(t, 1)}).Scores(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		score, cost := map[string]float64{}, map[string]float64{}
		for _, site := range all[0].Sites {
			cost[site.Kind] += site.Cost * float64(len(site.Values))
			for _, v := range site.Values {
				score[site.Kind] += v
			}
		}
		for kind := range score {
			score[kind] /= cost[kind]
		}
		return score
	}
	if got := perMAC("even"); math.Abs(got["heads"]/got["neurons"]-1) > 1e-9 {
		t.Errorf("even: scores per MAC are %v", got)
	}
	if got := perMAC("raw"); math.Abs(got["heads"]/got["neurons"]-1) < 1e-3 {
		t.Errorf("raw: scores per MAC are %v: they should differ", got)
	}
}
