package metric

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s is %.9f, want %.9f ± %g", what, got, want, tol)
	}
}

// classify adds a pair of label and prediction.
func classify(t *testing.T, a *Accumulator, label, guess int) {
	t.Helper()
	logits := make([]float32, a.classes)
	logits[guess] = 1
	if err := a.Add(logits, label); err != nil {
		t.Fatal(err)
	}
}

// TestClasses checks the figures against counts worked out by hand.
func TestClasses(t *testing.T) {
	a, err := New(Known(false), 2)
	if err != nil {
		t.Fatal(err)
	}
	// true 1: 6 right, 2 wrong; true 0: 3 right, 1 wrong.
	for _, c := range []struct{ label, guess, n int }{{1, 1, 6}, {1, 0, 2}, {0, 0, 3}, {0, 1, 1}} {
		for range c.n {
			classify(t, a, c.label, c.guess)
		}
	}
	r := a.Results()
	near(t, "accuracy", r[0].Value, 0.75, 1e-12)
	near(t, "its error", r[0].StdErr, math.Sqrt(0.75*0.25/12), 1e-12)
	near(t, "f1", r[1].Value, 12.0/15, 1e-12)
	near(t, "matthews", r[2].Value, (6*3-1*2)/math.Sqrt(7*8*4*5), 1e-12)
	if r[0].N != 12 {
		t.Errorf("n is %d, want 12", r[0].N)
	}
}

// TestManyClasses checks macro F1 and Gorodkin's coefficient.
func TestManyClasses(t *testing.T) {
	a, _ := New([]string{F1, Matthews}, 3)
	truth, guess := []int{0, 0, 1, 1, 2, 2}, []int{0, 1, 1, 1, 0, 2}
	for i := range truth {
		classify(t, a, truth[i], guess[i])
	}
	// F1 per class: 2*1/(2+2), 2*2/(2+3), 2*1/(2+1).
	near(t, "f1", a.Results()[0].Value, (0.5+0.8+2.0/3)/3, 1e-12)
	near(t, "matthews", a.Results()[1].Value, (4*6-(2*2+2*3+2*1))/math.Sqrt((36-12)*(36-14)), 1e-12)
}

// TestJackknife leaves out every example in turn, by brute force.
func TestJackknife(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 40
	var labels, guesses []int
	var x, y []float64
	for range n {
		labels, guesses = append(labels, rng.IntN(3)), append(guesses, rng.IntN(3))
		v := rng.NormFloat64()
		x, y = append(x, v), append(y, v+rng.NormFloat64())
	}
	classes := func(name string) func(int) (value, se float64) {
		return func(skip int) (float64, float64) {
			a, _ := New([]string{name}, 3)
			for i := range labels {
				if i != skip {
					classify(t, a, labels[i], guesses[i])
				}
			}
			return a.Results()[0].Value, a.Results()[0].StdErr
		}
	}
	regression := func(skip int) (float64, float64) {
		a, _ := New([]string{Pearson}, 0)
		for i := range x {
			if i != skip {
				if err := a.AddValue(x[i], y[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		return a.Results()[0].Value, a.Results()[0].StdErr
	}
	for name, stat := range map[string]func(int) (float64, float64){F1: classes(F1), Matthews: classes(Matthews), Pearson: regression} {
		_, got := stat(-1)
		var sum, square float64
		for i := range n {
			v, _ := stat(i)
			sum += v
			square += v * v
		}
		near(t, name, got, math.Sqrt((square-sum*sum/n)*(n-1)/n), 1e-9)
	}
}

// TestCorrelations has ties, whose ranks are shared.
func TestCorrelations(t *testing.T) {
	a, _ := New([]string{Pearson, Spearman}, 0)
	x, y := []float64{1, 2, 2, 4, 5}, []float64{2, 1, 3, 3, 9}
	for i := range x {
		if err := a.AddValue(x[i], y[i]); err != nil {
			t.Fatal(err)
		}
	}
	// Sums of products about the means 2.8 and 3.6: 16.6; squares 10.8 and 39.2.
	near(t, "pearson", a.Results()[0].Value, 16.6/math.Sqrt(10.8*39.2), 1e-12)
	// Ranks 1, 2.5, 2.5, 4, 5 and 2, 1, 3.5, 3.5, 5 about 3: 7.25; 9.5 each.
	near(t, "spearman", a.Results()[1].Value, 7.25/9.5, 1e-12)
	r := 7.25 / 9.5
	near(t, "its error", a.Results()[1].StdErr, (1-r*r)*math.Sqrt((1+r*r/2)/2), 1e-12)
}

// TestSpearmanError compares the formula with the spread of repeated draws.
func TestSpearmanError(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n, draws = 200, 400
	var sum, square, errs float64
	for range draws {
		var x, y []float64
		for range n {
			v := rng.NormFloat64()
			x, y = append(x, v), append(y, v+0.5*rng.NormFloat64())
		}
		r, se := spearman(x, y)
		sum, square, errs = sum+r, square+r*r, errs+se
	}
	spread := math.Sqrt(square/draws - sum*sum/draws/draws)
	near(t, "mean error over the spread", errs/draws/spread, 1, 0.15)
}

// TestConstant has no correlation to speak of: 0, never NaN.
func TestConstant(t *testing.T) {
	a, _ := New([]string{Pearson, Spearman}, 0)
	for i := range 9 {
		if err := a.AddValue(0.1, float64(i)); err != nil {
			t.Fatal(err)
		}
	}
	b, _ := New(Known(false), 2)
	classify(t, b, 0, 0)
	empty, _ := New(Known(false), 2)
	for _, r := range append(append(a.Results(), b.Results()[1:]...), empty.Results()...) {
		if r.Value != 0 || math.IsNaN(r.StdErr) {
			t.Errorf("%+v, want the value 0 and an error that is a number", r)
		}
	}
}

func TestMerge(t *testing.T) {
	whole, _ := New(Known(false), 3)
	parts := [2]*Accumulator{}
	for i := range parts {
		parts[i], _ = New(Known(false), 3)
	}
	for i := range 50 {
		classify(t, whole, i%3, i*i%3)
		classify(t, parts[i%2], i%3, i*i%3)
	}
	parts[0].Merge(parts[1])
	for i, r := range whole.Results() {
		if parts[0].Results()[i] != r {
			t.Errorf("merged %+v, whole %+v", parts[0].Results()[i], r)
		}
	}
}

func TestBadInput(t *testing.T) {
	a, _ := New([]string{Accuracy}, 2)
	reg, _ := New([]string{Pearson}, 0)
	nan := float32(math.NaN())
	_, unknown := New([]string{"bleu"}, 2)
	_, wrongKind := New([]string{Accuracy}, 0)
	for _, c := range []struct {
		err  error
		want string
	}{
		{a.Add([]float32{1}, 0), "1 logits, want 2"},
		{a.Add([]float32{1, 2}, 2), "label 2"},
		{a.Add([]float32{1, nan}, 0), "logit 1 is not a number"},
		{a.AddValue(1, 2), "2 classes"},
		{reg.AddValue(math.Inf(1), 0), "not finite"},
		{unknown, `unknown metric "bleu": for classes there are accuracy`},
		{wrongKind, "for a regression there are pearson, spearman"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", c.err, c.want)
		}
	}
}
