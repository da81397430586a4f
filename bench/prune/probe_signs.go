package prune

import "optin/kernels"

// signs draws the random signs of probes. Every 64 of them are a function of the
// seed and of where they belong alone, so that any worker makes those of any
// rows again, however the samples are cut into micro-batches.
type signs struct{ seed uint64 }

// logitSigns stands where the number of a block does.
const logitSigns = 1 << 20

// word is 64 signs, bit by bit: number word of those of a row, for a probe and a
// block.
func (s signs) word(block, probe, row, word int) uint64 {
	h := scramble(s.seed ^ scramble(uint64(block)<<32+uint64(probe)))
	return scramble(h + scramble(uint64(row)<<16+uint64(word)))
}

// scramble is the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA
// 2014): neighbouring counters come out unrelated.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// logits writes the signs of an example's logits to dst.
func (s signs) logits(dst []float64, probe, example int) {
	var bits uint64
	for i := range dst {
		if i%64 == 0 {
			bits = s.word(logitSigns, probe, example, i/64)
		}
		dst[i] = 1 - 2*float64(bits&1)
		bits >>= 1
	}
}

// factors are the signs of low-rank probes, as the columns of a matrix with a
// row per packed row: a_1 .. a_rank, b_1 .. b_rank of the first probe, then those
// of the next, all times size.
type factors struct {
	signs
	block    int
	from, to int // probes
	rank     int
	first    int // packed row
	rows     int
	size     float32
	swapped  bool // the b stand before the a
}

// upload makes the matrix [rows, 2*rank*(to-from)], by way of host.
func (f factors) upload(ops kernels.Ops, host *[]float32) *kernels.Tensor {
	width := 2 * f.rank
	cols := width * (f.to - f.from)
	if cap(*host) < f.rows*cols {
		*host = make([]float32, f.rows*cols)
	}
	values := (*host)[:f.rows*cols]
	for r := range f.rows {
		for p := f.from; p < f.to; p++ {
			at := r*cols + width*(p-f.from)
			a, b := values[at:at+f.rank], values[at+f.rank:at+width]
			if f.swapped {
				a, b = b, a
			}
			f.pair(a, b, p, f.first+r)
		}
	}
	return ops.Upload(f.rows, cols, values)
}

// pair writes the signs of one probe in one row: a half of its word each.
func (f factors) pair(a, b []float32, probe, row int) {
	values := [2]float32{f.size, -f.size}
	bits := f.word(f.block, probe, row, 0)
	for i := range a {
		a[i], b[i] = values[bits>>i&1], values[bits>>(32+i)&1]
	}
}
