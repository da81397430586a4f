package prune

import (
	"fmt"
	"math"
	"math/rand/v2"

	"optin/bench/model"
)

// split is the rows of a micro-batch that a fit sees and those that judge it.
type split struct{ fitted, judging []int32 }

// hold says which sequences judge: a share of them, at least one, by seed.
func hold(batches []*model.Input, share float64, seed uint64) ([]bool, error) {
	total := 0
	for _, in := range batches {
		total += in.Seq.Count()
	}
	if total < 2 {
		return nil, fmt.Errorf("rebuild: %d calibration sequence: two are the least, one to fit and one to judge by", total)
	}
	count := min(max(1, int(share*float64(total)+0.5)), total-1)
	judges := make([]bool, total)
	for _, i := range rand.New(rand.NewPCG(seed, 0x72656275696c64)).Perm(total)[:count] {
		judges[i] = true
	}
	return judges, nil
}

// tokensOf lists the rows of the first tokens of every sequence, without padding.
// judges has an entry per sequence; nil: none does.
func tokensOf(batches []*model.Input, judges []bool, tokens int) []split {
	list := make([]split, len(batches))
	seen := 0
	for b, in := range batches {
		for i := range in.Seq.Count() {
			rows := &list[b].fitted
			if judges != nil && judges[seen] {
				rows = &list[b].judging
			}
			seen++
			for t := range min(in.Seq.Len(i), tokens) {
				row := in.Seq.Offsets[i] + int32(t)
				if in.KeyBias == nil || !math.IsInf(float64(in.KeyBias[row]), -1) { // else padding
					*rows = append(*rows, row)
				}
			}
		}
	}
	return list
}
