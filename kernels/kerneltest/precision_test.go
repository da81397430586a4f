package kerneltest_test

import (
	"math"
	"testing"

	"optin/kernels/kerneltest"
)

// fraction rounds to numbers of so many bits behind the first.
func fraction(bits int) func(x float32) float32 {
	return func(x float32) float32 {
		f, exp := math.Frexp(float64(x))
		return float32(math.Ldexp(math.RoundToEven(math.Ldexp(f, bits+1)), exp-bits-1))
	}
}

// A device that rounds as it says passes; what rounds more coarsely, or not at all, fails.
func TestPrecision(t *testing.T) {
	dev := openRef(t, 1)
	defer dev.Close()
	for _, bits := range []int{7, 4, 23} {
		results, err := kerneltest.Check(kerneltest.Rounded(dev, fraction(bits)),
			kerneltest.Options{Seed: 1, Quick: true, Ops: []string{"Linear"}, Round: fraction(7)})
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		for _, r := range results {
			if !r.OK {
				failed++
				t.Logf("%d bits: %v", bits, r)
			}
		}
		least, most := 1, len(results)
		switch {
		case bits == 7:
			least, most = 0, 0
		case bits < 7:
			least = len(results) / 4
		}
		if failed < least || failed > most {
			t.Errorf("%d bits of fraction where 7 are asked for: %d of %d cases fail", bits, failed, len(results))
		}
	}
}
