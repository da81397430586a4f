package prune_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
)

// bestSubset is the largest total score under the budget by trying all masks.
func bestSubset(sites []model.Site, scores [][]float64, c prune.Costs, limit int64, b prune.Budget) (best float64) {
	best = math.Inf(-1)
	var units [][2]int
	for s, site := range sites {
		for u := range site.Units {
			units = append(units, [2]int{s, u})
		}
	}
	for bits := range 1 << len(units) {
		kept, sum := make([]int, len(sites)), 0.0
		for i, u := range units {
			if bits>>i&1 == 1 {
				kept[u[0]]++
				sum += scores[u[0]][u[1]]
			}
		}
		ok := c.Encoder(kept) <= limit
		for s, site := range sites {
			least := b.MinHeads
			if site.Kind == model.Neurons {
				least = b.MinNeurons
			}
			ok = ok && kept[s] >= least
		}
		if ok {
			best = max(best, sum)
		}
	}
	return best
}

// tiny has few enough units to try all subsets: two layers of 2 heads and 4
// neurons of a real model, the rest being cut off first.
func tiny(t *testing.T) model.Model {
	t.Helper()
	m := open(t, "bert-basic")
	mask := prune.Full(m.Sites())
	for s, site := range m.Sites() {
		for u := range mask[s] {
			mask[s][u] = site.Kind == model.Heads && u < 2 || site.Kind == model.Neurons && u < 4
		}
	}
	small, err := prune.Compact(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	return small
}

func TestAdditiveIsOptimal(t *testing.T) {
	m := tiny(t)
	rng := rand.New(rand.NewPCG(1, 2))
	costs := prune.CountMACs(m, prune.Lengths{Sequences: 1, Tokens: 2, TokenPairs: 4})
	// A head costs many neurons; make them comparable so that both kinds compete.
	for trial := range 20 {
		scores := make([][]float64, len(m.Sites()))
		for s, site := range m.Sites() {
			for range site.Units {
				scores[s] = append(scores[s], rng.Float64())
			}
			if site.Kind == model.Neurons {
				costs.Unit[s] = costs.Unit[0] / 3
			}
		}
		b := prune.Budget{Keep: 0.55 + 0.45*rng.Float64(), MinHeads: trial % 2, MinNeurons: trial % 3}
		mask, err := prune.Additive(m.Sites(), scores, costs, b)
		if err != nil {
			t.Fatal(err)
		}
		limit := int64(b.Keep * float64(costs.Dense()))
		if got := costs.Encoder(mask.Kept()); got > limit {
			t.Errorf("keeps %d MACs of %d allowed", got, limit)
		}
		var sum float64
		for s := range mask {
			for u, on := range mask[s] {
				if on {
					sum += scores[s][u]
				}
			}
		}
		near(t, fmt.Sprintf("trial %d: kept score", trial), sum, bestSubset(m.Sites(), scores, costs, limit, b))
	}
}

func TestImpossibleBudgetsSayWhatIsPossible(t *testing.T) {
	m := open(t, "bert-basic")
	scores := prune.Random(m, 1)
	costs := prune.CountMACs(m, prune.Lengths{Sequences: 3, Tokens: 60, TokenPairs: 1400})
	for _, b := range []prune.Budget{{Keep: 0}, {Keep: 1.2}, {Keep: math.NaN()}} {
		if _, err := prune.Additive(m.Sites(), scores, costs, b); err == nil || !strings.Contains(err.Error(), "search.keep") {
			t.Errorf("keep %v: %v", b.Keep, err)
		}
	}
	for _, whole := range []bool{false, true} {
		b := prune.Budget{Keep: 1e-3, MinHeads: 1, MinNeurons: 1, WholeModel: whole}
		_, err := prune.Additive(m.Sites(), scores, costs, b)
		if err == nil {
			t.Fatal("a budget of 0.001 was met")
		}
		var least float64
		words := strings.Fields(err.Error())
		if _, e := fmt.Sscan(words[len(words)-1], &least); e != nil {
			t.Fatalf("%v: no number at the end", err)
		}
		b.Keep = least
		if _, err := prune.Additive(m.Sites(), scores, costs, b); err != nil {
			t.Errorf("the budget named is refused too: %v", err)
		}
		b.Keep = least - 2e-4
		if _, err := prune.Additive(m.Sites(), scores, costs, b); err == nil {
			t.Errorf("a budget below the smallest, %v, was met", b.Keep)
		}
	}
}

// masks are the cases of compaction: random ones, nothing pruned, and layers
// left without heads or without neurons.
func masks(m model.Model) map[string]prune.Mask {
	all := map[string]prune.Mask{"full": prune.Full(m.Sites()), "empty": prune.Full(m.Sites())}
	for s := range all["empty"] {
		clear(all["empty"][s])
	}
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 7))
		mask := prune.Full(m.Sites())
		for s := range mask {
			for u := range mask[s] {
				mask[s][u] = rng.IntN(2) == 0
			}
		}
		all[fmt.Sprint("random", seed)] = mask
	}
	for s, site := range m.Sites() {
		mask := prune.Full(m.Sites())
		clear(mask[s])
		all[fmt.Sprintf("no %v in layer %d", site.Kind, site.Layer)] = mask
	}
	return all
}

func TestCompactedModelIsTheMaskedOne(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-odd", "bert-regression", "bert-f16", "vit-basic", "vit-no-qkv-bias", "deit-distilled"} {
		m := open(t, name)
		d := device(t, 2)
		ins := batches(t, m, name, 60)
		for what, mask := range masks(m) {
			t.Run(fmt.Sprintf("model=%s/mask=%s", name, what), func(t *testing.T) {
				small, err := prune.Compact(m, mask)
				if err != nil {
					t.Fatal(err)
				}
				v, err := prune.Verify(context.Background(), d, m, small, mask, ins)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Err(); err != nil {
					t.Error(err)
				}
				counted := prune.CountMACs(m, prune.LengthsOf(ins...))
				if got := counted.Encoder(mask.Kept()) + counted.Outside; got != v.CountedMACs {
					t.Errorf("the search counts %d MACs, the compacted model %d", got, v.CountedMACs)
				}
				values := prune.CountValues(m)
				if got := values.Encoder(mask.Kept()) + values.Outside; got != small.Params().Count() {
					t.Errorf("the search counts %d parameters, the compacted model %d", got, small.Params().Count())
				}

				dir := filepath.Join(t.TempDir(), "compact")
				if err := model.Save(small, dir, "", nil); err != nil {
					t.Fatal(err)
				}
				again, closeModel, err := model.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer closeModel()
				if v, err = prune.Verify(context.Background(), d, m, again, mask, ins); err != nil {
					t.Fatal(err)
				}
				if err := v.Err(); err != nil {
					t.Errorf("written and read back: %v", err)
				}
			})
		}
	}
}

func TestZeroedModelIsTheMaskedOne(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-no-qkv-bias", "deit-distilled"} {
		m := open(t, name)
		d := device(t, 1)
		ins := batches(t, m, name, 60)
		for what, mask := range masks(m) {
			zeroed, err := prune.Zeroed(m, mask)
			if err != nil {
				t.Fatal(err)
			}
			want, err := prune.Logits(context.Background(), d, m, mask, ins)
			if err != nil {
				t.Fatal(err)
			}
			got, err := prune.Logits(context.Background(), d, zeroed, nil, ins)
			if err != nil {
				t.Fatal(err)
			}
			for b := range want {
				for i := range want[b] {
					if math.Abs(got[b][i]-want[b][i]) > 1e-6 {
						t.Fatalf("%s, %s: logit %g, want %g", name, what, got[b][i], want[b][i])
					}
				}
			}
			if zeroed.Params().Count() != m.Params().Count() {
				t.Error("zeroing changed the number of parameters")
			}
		}
	}
}

// A wrong mask must not pass.
func TestVerifyCanFail(t *testing.T) {
	m, d := open(t, "bert-basic"), device(t, 1)
	ins := batches(t, m, "bert-basic", 60)
	mask := prune.Full(m.Sites())
	mask[1][0] = false
	small, err := prune.Compact(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	v, err := prune.Verify(context.Background(), d, m, small, prune.Full(m.Sites()), ins)
	if err != nil {
		t.Fatal(err)
	}
	if v.Err() == nil {
		t.Error("a model without a neuron passes for the dense one")
	}
}

// TestConfirm: in float64 the compacted model is the masked one but for some 1e-13,
// and a model with one small weight changed is not.
func TestConfirm(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic"} {
		t.Run(name, func(t *testing.T) { confirm(t, name) })
	}
}

func confirm(t *testing.T, name string) {
	m, d := open(t, name), device(t, 1)
	ins := batches(t, m, name, 60)
	mask := prune.Full(m.Sites())
	mask[0][1], mask[1][0] = false, false
	small, err := prune.Compact(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	doubtful := prune.Verification{Difference: 2 * prune.Tolerance}
	if doubtful.Err() == nil {
		t.Error("a difference above the tolerance passes by itself")
	}
	if err := doubtful.Confirm(context.Background(), d, m, small, mask, ins[0]); err != nil {
		t.Fatal(err)
	}
	if doubtful.Err() != nil || !(*doubtful.Exact < 1e-11) {
		t.Errorf("the compacted model: %v, %g in float64", doubtful.Err(), *doubtful.Exact)
	}
	mask[1][1] = false
	if err := doubtful.Confirm(context.Background(), d, m, small, mask, ins[0]); err != nil {
		t.Fatal(err)
	}
	if err := doubtful.Err(); err == nil || !strings.Contains(err.Error(), "in float64") {
		t.Errorf("a model with a neuron too many: %v", err)
	}
}

func TestWeighing(t *testing.T) {
	m := open(t, "bert-basic") // 2 layers of 4 heads and 64 neurons
	p := &prune.Parts{}
	for _, site := range m.Sites() {
		md, kd := make([]float64, site.Units), make([]float64, site.Units)
		for u := range md {
			md[u], kd[u] = 100, 1
		}
		p.MD, p.KD = append(p.MD, md), append(p.KD, kd)
	}
	with := func(change func(w *prune.Weighing)) prune.Weighing {
		w := prune.DefaultWeighing()
		change(&w)
		return w
	}
	for _, c := range []struct {
		name       string
		change     func(w *prune.Weighing)
		site, unit int
		want       float64
	}{
		{"balanced", func(w *prune.Weighing) {}, 0, 0, 110},
		{"raw", func(w *prune.Weighing) { w.Balance = prune.BalanceNone }, 0, 0, 100.1},
		{"reference factor", func(w *prune.Weighing) { w.Lambda, w.Balance = 10, prune.BalanceUnit }, 0, 0, 110},
		{"running mean of factors", func(w *prune.Weighing) { w.Lambda, w.Balance = 10, prune.BalanceRunning }, 3, 9, 110},
		{"MD alone", func(w *prune.Weighing) { w.NoKD = true }, 0, 0, 100},
		{"KD alone", func(w *prune.Weighing) { w.NoMD, w.Lambda = true, 1 }, 0, 0, 1},
		{"first head's weight", func(w *prune.Weighing) { w.NoKD, w.IndexWeights = true, true }, 0, 0, 1000},
		{"last head's weight", func(w *prune.Weighing) { w.NoKD, w.IndexWeights = true, true }, 0, 3, 100},
		{"first neuron's weight", func(w *prune.Weighing) { w.NoKD, w.IndexWeights = true, true }, 1, 0, 10000},
		{"last layer's heads", func(w *prune.Weighing) { w.NoKD, w.LastLayer, w.LastNeurons = true, 0.5, 0.1 }, 2, 0, 50},
		{"last layer's neurons", func(w *prune.Weighing) { w.NoKD, w.LastLayer, w.LastNeurons = true, 0.5, 0.1 }, 3, 0, 5},
		{"other layers", func(w *prune.Weighing) { w.NoKD, w.LastLayer = true, 0 }, 1, 0, 100},
		{"heads", func(w *prune.Weighing) { w.NoKD, w.Heads = true, 0.5 }, 0, 0, 50},
		{"not neurons", func(w *prune.Weighing) { w.NoKD, w.Heads = true, 0.5 }, 1, 0, 100},
		{"neurons", func(w *prune.Weighing) { w.NoKD, w.Neurons = true, 3 }, 1, 0, 300},
	} {
		near(t, c.name, prune.Weigh(m, p, with(c.change))[c.site][c.unit], c.want)
	}
	r := open(t, "bert-regression")
	raw := with(func(w *prune.Weighing) { w.Lambda, w.Balance = 1, prune.BalanceNone })
	near(t, "regression", prune.Weigh(r, p, raw)[0][0], 101)
	raw.NoRegression = true
	near(t, "regression in the reference", prune.Weigh(r, p, raw)[0][0], 100)
}

func TestBaselines(t *testing.T) {
	m, d := open(t, "bert-odd"), device(t, 2)
	ins := batches(t, m, "bert-odd", 60)
	activation, err := prune.ActivationNorm(context.Background(), d, m, ins)
	if err != nil {
		t.Fatal(err)
	}
	magnitude, err := prune.Magnitude(m)
	if err != nil {
		t.Fatal(err)
	}
	// By hand for one neuron and one head: weights it owns.
	square := func(name string, own func(row, col int) bool) (sum float64) {
		p := m.Params().Get(name)
		cols := 1
		n := p.Shape[0]
		if len(p.Shape) == 2 {
			cols = p.Shape[1]
			n *= cols
		}
		values := make([]float32, n)
		if err := p.Read(values); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if own(i/cols, i%cols) {
				sum += float64(v) * float64(v)
			}
		}
		return sum
	}
	const layer = "bert.encoder.layer.1."
	neuron := square(layer+"intermediate.dense.weight", func(r, _ int) bool { return r == 7 }) +
		square(layer+"intermediate.dense.bias", func(r, _ int) bool { return r == 7 }) +
		square(layer+"output.dense.weight", func(_, c int) bool { return c == 7 })
	near(t, "magnitude of a neuron", magnitude[3][7], math.Sqrt(neuron))
	var head float64
	for _, part := range []string{"query", "key", "value"} {
		for _, kind := range []string{".weight", ".bias"} {
			head += square(layer+"attention.self."+part+kind, func(r, _ int) bool { return r/12 == 2 })
		}
	}
	head += square(layer+"attention.output.dense.weight", func(_, c int) bool { return c/12 == 2 })
	near(t, "magnitude of a head", magnitude[2][2], math.Sqrt(head))

	// A dead unit has no activation; the others do.
	mask := prune.Full(m.Sites())
	mask[0][1], mask[3][4] = false, false
	dead, err := prune.Zeroed(m, mask)
	if err != nil {
		t.Fatal(err)
	}
	zero, err := prune.ActivationNorm(context.Background(), d, dead, ins)
	if err != nil {
		t.Fatal(err)
	}
	if zero[0][1] != 0 || zero[3][4] != 0 || activation[0][1] == 0 || activation[3][4] == 0 {
		t.Errorf("activation norms of dead units %g %g, of live ones %g %g", zero[0][1], zero[3][4], activation[0][1], activation[3][4])
	}
	one, again, two := fmt.Sprint(prune.Random(m, 1)), fmt.Sprint(prune.Random(m, 1)), fmt.Sprint(prune.Random(m, 2))
	if one != again || one == two {
		t.Error("random scores must follow their seed")
	}
}

// Once even, heads and neurons score alike per MAC, and order within a kind stays.
func TestEven(t *testing.T) {
	m := open(t, "bert-odd")
	c := prune.CountMACs(m, prune.Lengths{Sequences: 1, Tokens: 10, TokenPairs: 100})
	raw := prune.Random(m, 1)
	even := prune.Even(m.Sites(), raw, c)
	var score, cost [2]float64
	for s, site := range m.Sites() {
		for u, v := range even[s] {
			score[site.Kind] += v
			cost[site.Kind] += float64(c.Unit[s])
			near(t, "ratio within a site", v/even[s][0], raw[s][u]/raw[s][0])
		}
	}
	near(t, "score per MAC", score[0]/cost[0], score[1]/cost[1])
}

func TestRunningFactorIsOfEarlierUnits(t *testing.T) {
	m := open(t, "bert-basic")
	p := &prune.Parts{}
	for _, site := range m.Sites() {
		md, kd := make([]float64, site.Units), make([]float64, site.Units)
		for u := range md {
			md[u], kd[u] = 10, 1
		}
		p.MD, p.KD = append(p.MD, md), append(p.KD, kd)
	}
	p.MD[0][1] = 1000 // its own factor is 1000, that of all others 10
	w := prune.DefaultWeighing()
	w.Lambda, w.Balance, w.NoMD = 1, prune.BalanceRunning, true
	got := prune.Weigh(m, p, w)[0]
	for u, want := range []float64{10, 10, (10. + 1000) / 2, (10. + 1000 + 10) / 3} {
		near(t, fmt.Sprintf("unit %d", u), got[u], want)
	}
}

func TestCut(t *testing.T) {
	lengths := []int{10, 20, 30, 5, 5, 40, 10}
	for rows, want := range map[int]string{1000: "[7]", 60: "[3 7]", 1: "[1 2 3 4 5 6 7]"} {
		if got := fmt.Sprint(prune.Cut(lengths, rows)); got != want {
			t.Errorf("%d rows: %s, want %s", rows, got, want)
		}
	}
}

func TestFlatScores(t *testing.T) {
	if f := prune.Flat([][]float64{{1, 1.001, 1.002, 1.003}}); f > 0.01 {
		t.Errorf("nearly equal scores: %g", f)
	}
	if f := prune.Flat([][]float64{{1, 2, 3, 4}}); f < 0.1 {
		t.Errorf("scores that vary: %g", f)
	}
}
