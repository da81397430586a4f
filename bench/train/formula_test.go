package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"optin/kernels"
)

func close64(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*(1+math.Abs(b)) }

// TestSchedule compares rates with a table.
func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		schedule Schedule
		want     []float64 // of ten steps, the first two warm up
	}{
		{Constant, []float64{1, 2, 2, 2, 2, 2, 2, 2, 2, 2}},
		{Linear, []float64{1, 2, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25}},
		{Cosine, []float64{1, 2, 2, 1.9239, 1.7071, 1.3827, 1, 0.6173, 0.2929, 0.0761}},
	} {
		s := Settings{Rate: 2, Warmup: 0.2, Schedule: c.schedule}
		for i, want := range c.want {
			if got := s.rate(i+1, 10); !close64(got, want, 1e-4) {
				t.Errorf("%s: rate of step %d is %v, want %v", c.schedule, i+1, got, want)
			}
		}
	}
	all := Settings{Rate: 2, Warmup: 1, Schedule: Cosine}
	none := Settings{Rate: 2, Schedule: Linear}
	if all.rate(4, 4) != 2 || none.rate(1, 4) != 2 || none.rate(4, 4) != 0.5 {
		t.Error("a training that only warms up, or never does")
	}
}

// TestLosses compares losses with their values by hand, and their gradients with
// differences.
func TestLosses(t *testing.T) {
	logits, teacher := []float64{1, -0.5, 2}, []float64{0.3, 0.9, -1}
	smooth := make([]float64, 3)
	target(smooth, 1, 0.3)
	for c, want := range []float64{0.1, 0.8, 0.1} {
		if !close64(smooth[c], want, 1e-15) {
			t.Errorf("smoothed target %v", smooth)
		}
	}
	const tau = 3
	sum := math.Exp(1) + math.Exp(-0.5) + math.Exp(2)
	p := func(x []float64, c int) float64 {
		sum := 0.0
		for _, v := range x {
			sum += math.Exp(v / tau)
		}
		return math.Exp(x[c]/tau) / sum
	}
	kl := 0.0
	for c := range 3 {
		kl += p(teacher, c) * math.Log(p(teacher, c)/p(logits, c))
	}
	for name, c := range map[string]struct {
		loss func(g, x []float64) float64
		want float64
	}{
		"cross entropy": {func(g, x []float64) float64 { return crossEntropy(g, x, smooth, make([]float64, 3), 0.7) },
			-(0.1*(1-math.Log(sum)) + 0.8*(-0.5-math.Log(sum)) + 0.1*(2-math.Log(sum)))},
		"distillation":  {func(g, x []float64) float64 { return distillation(g, x, teacher, make([]float64, 6), tau, 0.7) }, tau * tau * kl},
		"squared error": {func(g, x []float64) float64 { return squaredError(&g[2], x[2], 0.5, 0.7) }, 2.25},
	} {
		gradient := []float64{10, 20, 30} // is added to
		if got := c.loss(gradient, logits); !close64(got, c.want, 1e-12) {
			t.Errorf("%s is %v, want %v", name, got, c.want)
		}
		const h = 1e-5
		for i := range logits {
			x := slices.Clone(logits)
			x[i] += h
			up := c.loss(make([]float64, 3), x)
			x[i] -= 2 * h
			slope := 0.7 * (up - c.loss(make([]float64, 3), x)) / (2 * h)
			if got := gradient[i] - float64(10*(i+1)); !close64(got, slope, 1e-8) {
				t.Errorf("%s: gradient %d is %v, difference %v", name, i, got, slope)
			}
		}
	}
	huge := make([]float64, 2)
	if loss := crossEntropy(huge, []float64{1e4, -1e4}, []float64{0, 1}, make([]float64, 2), 1); loss != 2e4 || huge[0] != 1 {
		t.Errorf("large logits: loss %v, gradient %v", loss, huge)
	}
}

// TestWordLoss compares the loss of hidden tokens, and its gradient, with what
// crossEntropy says.
func TestWordLoss(t *testing.T) {
	const rows, vocabulary, weight = 3, 7, 0.3
	rng := rand.New(rand.NewPCG(1, 0))
	values, wide := make([]float32, rows*vocabulary), make([]float64, rows*vocabulary)
	for i := range values {
		values[i] = float32(3 * rng.NormFloat64())
		wide[i] = float64(values[i])
	}
	values[vocabulary], wide[vocabulary] = -1000, -1000 // the second row's token has no probability left
	hidden := []int32{6, 0, 3}
	want, gradient := 0.0, make([]float64, len(wide))
	for r, id := range hidden {
		aim := make([]float64, vocabulary)
		aim[id] = 1
		from, to := r*vocabulary, (r+1)*vocabulary
		loss := weight * crossEntropy(gradient[from:to], wide[from:to], aim, make([]float64, vocabulary), weight)
		if r == 1 {
			loss = -weight * math.Log(leastProbability)
		}
		want += loss
	}
	for device, dev := range devices(t) {
		got := make([]float64, len(wide))
		err := dev.One(context.Background(), func(ops kernels.Ops) error {
			loss, g := wordLoss(ops.(kernels.Backward), ops.Upload(rows, vocabulary, values), hidden, weight)
			ops.Download(g, got)
			if !close64(loss, want, 1e-5) {
				t.Errorf("%s: loss %v, want %v", device, loss, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range got {
			if !close64(g, gradient[i], 1e-6) {
				t.Errorf("%s: gradient %d is %v, want %v", device, i, g, gradient[i])
			}
		}
	}
}

// TestBeta compares moments of the draws with those of the distribution.
func TestBeta(t *testing.T) {
	for _, a := range []float64{0.2, 1, 3} {
		rng := rand.New(rand.NewPCG(1, 2))
		const n = 40000
		mean, square := 0.0, 0.0
		for range n {
			x := beta(rng, a)
			if x < 0 || x > 1 {
				t.Fatalf("Beta(%v) drew %v", a, x)
			}
			mean += x / n
			square += x * x / n
		}
		if variance := square - mean*mean; !close64(mean, 0.5, 0.01) || !close64(variance, 1/(4*(2*a+1)), 0.01) {
			t.Errorf("Beta(%v): mean %v, variance %v", a, mean, variance)
		}
	}
	if x := beta(rand.New(rand.NewPCG(1, 1)), 1e-9); x != 0 && x != 1 {
		t.Errorf("Beta(1e-9) drew %v", x)
	}
}

// TestMix mixes pictures and targets by the same shares.
func TestMix(t *testing.T) {
	const n = 6
	pixels, targets := make([]float32, 2*n), make([]float64, n*n)
	for i := range n {
		pixels[2*i], pixels[2*i+1], targets[i*n+i] = float32(i), float32(10*i), 1
	}
	mixAll(pixels, targets, n, 1, rand.New(rand.NewPCG(5, 0)))
	moved := 0
	for i := range n {
		want, sum := 0.0, 0.0
		for c, share := range targets[i*n : (i+1)*n] {
			want += share * float64(c)
			sum += share
		}
		if !close64(sum, 1, 1e-12) || !close64(float64(pixels[2*i]), want, 1e-6) || !close64(float64(pixels[2*i+1]), 10*want, 1e-6) {
			t.Errorf("picture %d is %v with target %v", i, pixels[2*i:2*i+2], targets[i*n:(i+1)*n])
		}
		if targets[i*n+i] < 1 {
			moved++
		}
	}
	if moved == 0 {
		t.Error("nothing was mixed")
	}
}

// TestShift moves and mirrors a picture of 2 x 3 with two channels.
func TestShift(t *testing.T) {
	p := &pictures{2, 2, 3, []float32{-1, -2}}
	src := []float32{1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60}
	for _, c := range []struct {
		dy, dx int
		flip   bool
		want   []float32
	}{
		{0, 0, false, src},
		{0, 0, true, []float32{3, 2, 1, 6, 5, 4, 30, 20, 10, 60, 50, 40}},
		{1, -1, false, []float32{-1, -1, -1, 2, 3, -1, -2, -2, -2, 20, 30, -2}},
		{-1, 1, true, []float32{5, 4, -1, -1, -1, -1, 50, 40, -2, -2, -2, -2}},
	} {
		dst := make([]float32, len(src))
		p.shift(dst, src, c.dy, c.dx, c.flip)
		if !slices.Equal(dst, c.want) {
			t.Errorf("shift %d, %d, flip %v: %v, want %v", c.dy, c.dx, c.flip, dst, c.want)
		}
	}
}

// TestKeepPatches keeps special tokens and patches that are not blank.
func TestKeepPatches(t *testing.T) {
	p := &pictures{channels: 1, height: 4, width: 6}
	pixels := make([]float32, 2*4*6)
	pixels[4] = 1     // picture 0: the third patch of the first row
	pixels[24+18] = 1 // picture 1: the first of the second
	for range 20 {
		rows := p.keepPatches(pixels, 2, 2, 2, 2, rand.New(rand.NewPCG(1, 1)))
		if len(rows) != 8 || !slices.IsSorted(rows) || !slices.Equal(rows[:2], []int32{0, 1}) || !slices.Equal(rows[4:6], []int32{8, 9}) ||
			!slices.Contains(rows[2:4], 4) || !slices.Contains(rows[6:], 13) {
			t.Fatalf("kept %v", rows)
		}
	}
}

// TestHide hides the right share in the right ways, and no special token.
func TestHide(t *testing.T) {
	v := &Vocabulary{Size: 1000, Mask: 4, Special: []int32{2, 3}}
	ids := make([]int32, 30000)
	for i := range ids {
		ids[i] = int32(2 + i%3) // 2 and 3 are special
		if ids[i] == 4 {
			ids[i] = 7
		}
	}
	rows, hidden := v.hide(ids, 0.3, rand.New(rand.NewPCG(3, 0)))
	masked, kept := 0, 0
	for i, r := range rows {
		if hidden[i] != 7 || r%3 != 2 {
			t.Fatalf("row %d was hidden, %d stood there", r, hidden[i])
		}
		switch ids[r] {
		case 4:
			masked++
		case 7:
			kept++
		}
	}
	n := float64(len(rows))
	if !close64(n/10000, 0.3, 0.02) || !close64(float64(masked)/n, 0.8, 0.03) || !close64(float64(kept)/n, 0.1, 0.03) {
		t.Errorf("%d hidden, %d by the mask, %d as they were", len(rows), masked, kept)
	}
}
