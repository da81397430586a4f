package model

import (
	"math"
	"slices"

	"optin/kernels"
)

// Input is a batch of texts or images, on the host. Text is packed: the ids of
// all sequences one after the other.
type Input struct {
	Seq *kernels.Sequences // what the encoder sees (for images: patches and special tokens)

	IDs, Types, Positions []int32   // text: one entry per packed row
	Pixels                []float32 // images: [B, channels*height*width]

	// KeyBias is added to every attention score of a row as a key: -Inf hides
	// it. nil, the rule: every row is seen.
	KeyBias []float32
}

// Examples is the number of sequences or images.
func (in *Input) Examples() int { return in.Seq.Count() }

// First is the first n examples of in, which has as many.
func (in *Input) First(n int) *Input { return in.Slice(0, n) }

// Slice is the examples from to to-1 of in. It shares in's memory.
func (in *Input) Slice(from, to int) *Input {
	first, last := in.Seq.Offsets[from], in.Seq.Offsets[to]
	seq := &kernels.Sequences{}
	for b := from; b <= to; b++ {
		seq.Offsets = append(seq.Offsets, in.Seq.Offsets[b]-first)
		if b < to {
			seq.Max = max(seq.Max, in.Seq.Len(b))
		}
	}
	size := len(in.Pixels) / in.Examples()
	part := &Input{Seq: seq, Pixels: in.Pixels[from*size : to*size]}
	if in.IDs != nil {
		part.IDs, part.Types, part.Positions = in.IDs[first:last], in.Types[first:last], in.Positions[first:last]
	}
	if in.KeyBias != nil {
		part.KeyBias = in.KeyBias[first:last]
	}
	return part
}

// Text packs sequences of token ids with their segment ids.
func Text(ids, types [][]int32) *Input {
	in := &Input{}
	lengths := make([]int, len(ids))
	for i := range ids {
		lengths[i] = len(ids[i])
		in.IDs = append(in.IDs, ids[i]...)
		in.Types = append(in.Types, types[i]...)
		for t := range ids[i] {
			in.Positions = append(in.Positions, int32(t))
		}
	}
	in.Seq = kernels.NewSequences(lengths...)
	return in
}

// PaddedText is Text with every sequence filled up to its entry of lengths by
// hidden tokens of the given id, as programs without packing run it. Its only
// use is to repeat what they measure on padding.
func PaddedText(ids, types [][]int32, lengths []int, pad int32) *Input {
	padded, segments := make([][]int32, len(ids)), make([][]int32, len(ids))
	var bias []float32
	for i, s := range ids {
		padded[i], segments[i] = slices.Clone(s), slices.Clone(types[i])
		bias = append(bias, make([]float32, len(s))...)
		for len(padded[i]) < lengths[i] {
			padded[i] = append(padded[i], pad)
			segments[i] = append(segments[i], 0)
			bias = append(bias, float32(math.Inf(-1)))
		}
	}
	in := Text(padded, segments)
	in.KeyBias = bias
	return in
}

// Images packs images, given one after the other, for a vision model.
func Images(c *Config, pixels []float32) *Input {
	n := len(pixels) / (c.Channels * c.ImageHeight * c.ImageWidth)
	lengths := make([]int, n)
	for i := range lengths {
		lengths[i] = c.Tokens()
	}
	return &Input{Seq: kernels.NewSequences(lengths...), Pixels: pixels}
}

// first uploads the packed row of every sequence's token at the given offset.
func first(p *Pass, offset int32) *kernels.Tensor {
	p.ints = p.ints[:0]
	for b := range p.Seq.Count() {
		p.ints = append(p.ints, p.Seq.Offsets[b]+offset)
	}
	return p.Ops.UploadInts(p.ints)
}
