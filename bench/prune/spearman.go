package prune

import (
	"fmt"
	"math"
	"slices"

	"optin/bench/model"
)

// Agreement is how well estimated scores of one kind of unit follow exact ones.
type Agreement struct {
	Units    int     // that were compared
	Spearman float64 // rank correlation; NaN for fewer than 2 units or a constant list
	TopHalf  float64 // share of the better half by one that is in the better half by the other; NaN for fewer than 2
}

// Compare sets estimated beside exact scores, by kind, over the units whose
// exact score is a number.
func Compare(sites []model.Site, exact, estimated [][]float64) map[model.Kind]Agreement {
	pairs := map[model.Kind][2][]float64{}
	for s, site := range sites {
		p := pairs[site.Kind]
		for u, v := range exact[s] {
			if !math.IsNaN(v) {
				p[0], p[1] = append(p[0], v), append(p[1], estimated[s][u])
			}
		}
		pairs[site.Kind] = p
	}
	out := map[model.Kind]Agreement{}
	for kind, p := range pairs {
		out[kind] = Agreement{len(p[0]), Spearman(p[0], p[1]), topHalf(p[0], p[1])}
	}
	return out
}

func (a Agreement) String() string {
	return fmt.Sprintf("Spearman %.3f, top-half overlap %.3f over %d units", a.Spearman, a.TopHalf, a.Units)
}

// Spearman is the correlation of the ranks of x and y, ties sharing their mean
// rank. It is NaN for fewer than two values and where all of one list are equal.
func Spearman(x, y []float64) float64 {
	rx, ry := ranks(x), ranks(y)
	mean := float64(len(x)+1) / 2
	var xx, yy, xy float64
	for i := range rx {
		a, b := rx[i]-mean, ry[i]-mean
		xx, yy, xy = xx+a*a, yy+b*b, xy+a*b
	}
	return xy / math.Sqrt(xx*yy)
}

// ranks count from 1; equal values share their mean rank.
func ranks(x []float64) []float64 {
	order := ascending(x)
	out := make([]float64, len(x))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && x[order[to]] == x[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			out[i] = float64(from+to+1) / 2
		}
		from = to
	}
	return out
}

// ascending is the indices of x by its values, equal ones in their order.
func ascending(x []float64) []int {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	return order
}

func topHalf(x, y []float64) float64 {
	half := len(x) / 2
	top := make([]bool, len(x))
	for _, i := range ascending(x)[len(x)-half:] {
		top[i] = true
	}
	common := 0
	for _, i := range ascending(y)[len(y)-half:] {
		if top[i] {
			common++
		}
	}
	return float64(common) / float64(half)
}
