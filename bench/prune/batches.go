package prune

import (
	"fmt"

	"optin/bench/model"
	"optin/kernels"
)

// MicroRows is the number of packed rows that a micro-batch aims at: enough to
// keep the weights' streaming cheap, few enough to stay in cache.
const MicroRows = 512

// Cut says which consecutive sequences form a micro-batch, for about rows rows
// each: ends[i] is one past the last of batch i. It depends on the lengths
// alone, so results do not depend on the number of workers.
func Cut(lengths []int, rows int) (ends []int) {
	total := 0
	for _, n := range lengths {
		total += n
	}
	batches := max(1, (total+rows-1)/rows)
	done, sum := 0, 0
	for i, n := range lengths {
		sum += n
		// Close a batch when it has reached its even share of all rows.
		if sum*batches >= total*(done+1) || i == len(lengths)-1 {
			ends = append(ends, i+1)
			done = sum * batches / total
		}
	}
	return ends
}

// Recut cuts micro-batches that have more than rows rows into smaller ones, as Cut
// does. The examples stay in their order.
func Recut(batches []*model.Input, rows int) []*model.Input {
	var out []*model.Input
	for _, in := range batches {
		lengths := make([]int, in.Examples())
		for b := range lengths {
			lengths[b] = in.Seq.Len(b)
		}
		from := 0
		for _, to := range Cut(lengths, rows) {
			out = append(out, in.Slice(from, to))
			from = to
		}
	}
	return out
}

// segment is a stretch of rows of one variant of a micro-batch that belongs to
// one group.
type segment struct {
	group       int
	from, to    int
	first, last bool    // of its group
	before      int     // rows of the group in earlier micro-batches
	chosen      []int32 // of its rows, counted from from, those that enter the Gram; nil: all
}

// grouping splits the rows of all micro-batches into groups of sequences, each
// with a Gram matrix of its own.
type grouping struct {
	segments [][]segment // by micro-batch
	rows     []int       // by group
	whole    []bool      // by group: it lies within one micro-batch
}

// group puts the given number of consecutive sequences into each group; 0 puts
// all into one.
func group(batches []*model.Input, size int) grouping {
	var g grouping
	seen := 0
	for _, in := range batches {
		var list []segment
		for b := range in.Seq.Count() {
			id := 0
			if size > 0 {
				id = seen / size
			}
			seen++
			from, to := int(in.Seq.Offsets[b]), int(in.Seq.Offsets[b+1])
			if n := len(list); n > 0 && list[n-1].group == id {
				list[n-1].to = to
			} else {
				list = append(list, segment{group: id, from: from, to: to, first: id == len(g.rows)})
			}
			if id == len(g.rows) {
				g.rows = append(g.rows, 0)
			}
			if n := len(list); list[n-1].from == from {
				list[n-1].before = g.rows[id]
			}
			g.rows[id] += to - from
		}
		g.segments = append(g.segments, list)
	}
	g.whole = make([]bool, len(g.rows))
	next := len(g.rows)
	for b := len(g.segments) - 1; b >= 0; b-- {
		for i := len(g.segments[b]) - 1; i >= 0; i-- {
			s := &g.segments[b][i]
			s.last = s.group < next
			g.whole[s.group] = s.last && s.to-s.from == g.rows[s.group]
			next = s.group
		}
	}
	return g
}

// checkBatches refuses what cannot be scored.
func checkBatches(m model.Model, batches []*model.Input) error {
	if len(batches) == 0 {
		return fmt.Errorf("there are no samples to run")
	}
	if m.Config().Text() {
		for _, in := range batches {
			if err := model.CheckText(m.Config(), in); err != nil {
				return err
			}
		}
	}
	return nil
}

// tensors is one tensor per micro-batch, shared by all workers.
type tensors []*kernels.Tensor

func free(dev kernels.Device, lists ...tensors) {
	for _, list := range lists {
		for _, t := range list {
			if t != nil {
				dev.Free(t)
			}
		}
	}
}
