package kerneltest

import (
	"math"
	"testing"

	"optin/kernels/ref"
)

// TestRefGivesGoldens holds the reference to what torch computes in float64 much
// closer than the suite, whose tolerances are those of float32.
func TestRefGivesGoldens(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, p := range goldenPrograms() {
		t.Run(p.Op+" "+p.Shape, func(t *testing.T) {
			g := p.gen(1)
			b := p.build(g)
			defer g.forget(dev)
			got, err := narrow(dev, b.run)
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, got, b.want(nil))
		})
	}
}

// checkGolden allows 1e-10 of the largest element.
func checkGolden(t *testing.T, got, want []float64) {
	t.Helper()
	size, worst := 0.0, 0.0
	for _, v := range want {
		size = max(size, math.Abs(v))
	}
	if len(got) != len(want) || size == 0 {
		t.Fatalf("%d values, want %d, the largest %v", len(got), len(want), size)
	}
	for i, w := range want {
		worst = max(worst, math.Abs(got[i]-w)/size)
	}
	if !(worst <= 1e-10) {
		t.Errorf("off by %.2g of the largest element", worst)
	}
}
