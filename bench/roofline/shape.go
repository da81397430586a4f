package roofline

import (
	"fmt"
	"math"

	"optin/kernels"
)

// Shape is that of the work that ops are timed at: a batch of sequences through a transformer.
type Shape struct {
	Sequences, Length int // of a batch; tokens of each
	Hidden, Heads     int
	Neurons           int
	Vocabulary        int
	Classes           int
	Image             kernels.PatchSpec // of the pictures, as many as there are sequences
}

// BERTBase is the shape of BERT-base (Devlin et al., 2019), with pictures and classes as
// ViT-base has them on ImageNet.
func BERTBase(sequences, length int) Shape {
	return Shape{Sequences: sequences, Length: length, Hidden: 768, Heads: 12, Neurons: 3072, Vocabulary: 30522, Classes: 1000,
		Image: kernels.PatchSpec{Channels: 3, Height: 224, Width: 224, Patch: 16}}
}

// Tiny has every part of BERTBase and takes next to no time: it shows that ops can be timed,
// not how fast they are.
func Tiny(sequences, length int) Shape {
	return Shape{Sequences: sequences, Length: length, Hidden: 32, Heads: 2, Neurons: 64, Vocabulary: 100, Classes: 10,
		Image: kernels.PatchSpec{Channels: 3, Height: 16, Width: 16, Patch: 8}}
}

// rows are the tokens of the batch.
func (s Shape) rows() int { return s.Sequences * s.Length }

// String is for people.
func (s Shape) String() string {
	return fmt.Sprintf("%d sequences of %d tokens, width %d, %d heads, %d neurons", s.Sequences, s.Length, s.Hidden, s.Heads, s.Neurons)
}

// sequences are as many as there are, of the given length.
func (s Shape) sequences(length int) *kernels.Sequences {
	lengths := make([]int, s.Sequences)
	for i := range lengths {
		lengths[i] = length
	}
	return kernels.NewSequences(lengths...)
}

// attention is that of all sequences, which see themselves whole.
func (s Shape) attention() kernels.AttentionSpec {
	all := s.sequences(s.Length)
	return kernels.AttentionSpec{Heads: s.Heads, Scale: 1 / math.Sqrt(float64(s.Hidden)/float64(s.Heads)), Q: all, K: all}
}
