package train

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// purpose tells random choices apart, so that each can be drawn by itself.
type purpose uint64

const (
	drawOrder   purpose = iota + 1 // of the examples of an epoch
	drawPicture                    // shift and mirror of one example
	drawMixup                      // partners and shares within a micro-batch
	drawPatches                    // that a picture keeps
	drawMask                       // tokens that are hidden
	drawValues                     // of a new parameter
)

// stream is the source of one random choice. Equal arguments give the same
// numbers, and other ones give numbers that have nothing to do with them.
func stream(seed uint64, what purpose, a, b uint64) *rand.Rand {
	var key [32]byte
	for i, v := range []uint64{seed, uint64(what), a, b} {
		binary.LittleEndian.PutUint64(key[8*i:], v)
	}
	return rand.New(rand.NewChaCha8(key))
}

// nameHash stands for the name of a parameter, so that its first values do not
// depend on which others there are.
func nameHash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

// beta draws from the symmetric Beta distribution of parameter a, as the share
// of one of two Gamma variables.
func beta(rng *rand.Rand, a float64) float64 {
	x, y := gamma(rng, a), gamma(rng, a)
	if x+y == 0 { // both too small for a float: as far from the middle as can be
		return float64(rng.IntN(2))
	}
	return x / (x + y)
}

// gamma draws from the Gamma distribution of shape a (Marsaglia and Tsang,
// 2000); a shape below 1 is drawn as one above, times u^(1/a).
func gamma(rng *rand.Rand, a float64) float64 {
	if a < 1 {
		return gamma(rng, a+1) * math.Pow(rng.Float64(), 1/a)
	}
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-rng.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
