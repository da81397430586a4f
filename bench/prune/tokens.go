package prune

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// choose picks the rows of each group that enter its Gram, and says how many
// they are.
//
// REF: the released code takes 768 random tokens per call.
// Switch: Options.Tokens, Options.TokenList.
func (g *grouping) choose(o Options) (entering []int, err error) {
	if o.Tokens == 0 && o.TokenList == nil {
		return g.rows, nil
	}
	chosen := make([][]int32, len(g.rows))
	for id, rows := range g.rows {
		if o.TokenList == nil {
			chosen[id] = draw(rows, o.Tokens, o.TokenSeed, id)
		} else if chosen[id], err = listed(rows, o.TokenList, id); err != nil {
			return nil, err
		}
		entering = append(entering, len(chosen[id]))
	}
	for _, list := range g.segments {
		for i := range list {
			list[i].take(chosen[list[i].group])
		}
	}
	return entering, nil
}

// take keeps those of the group's chosen rows, ascending, that lie in s.
func (s *segment) take(rows []int32) {
	s.chosen = []int32{}
	for _, r := range rows {
		if at := int(r) - s.before; at >= 0 && at < s.to-s.from {
			s.chosen = append(s.chosen, int32(at))
		}
	}
}

func draw(rows, n int, seed int64, group int) []int32 {
	order := rand.New(rand.NewPCG(uint64(seed), uint64(group))).Perm(rows)
	list := make([]int32, 0, n)
	for _, r := range order[:min(n, rows)] {
		list = append(list, int32(r))
	}
	slices.Sort(list)
	return list
}

func listed(rows int, list []int, group int) ([]int32, error) {
	var out []int32
	for _, r := range list {
		if r < 0 || r >= rows {
			return nil, fmt.Errorf("token index %d: group %d of the calibration set has %d tokens", r, group, rows)
		}
		out = append(out, int32(r))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
