package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"optin/bench/model"
	"optin/kernels"
)

// layout says where each parameter lies in one long vector, so that gradients,
// moments and averages are vectors of the same form, and what is done to all of
// them is done piece by piece, in parallel.
type layout struct {
	slots  []slot
	byName map[string]int
	size   int // of the vector
	pieces []piece
}

// slot is the place of a parameter.
type slot struct {
	name  string
	shape []int
	from  int // of its first element
	len   int
	group
}

// group is how a parameter is changed.
type group struct {
	factor float64 // of the learning rate
	decays bool
	muon   bool // by its own rule, see Trainer.muon
}

// piece is a stretch of the vector, of one group.
type piece struct {
	from, to int
	group
}

// Parameters begin at multiples of unit elements: whole vectors of any
// processor. Pieces have at most pieceLen, which fit into a cache with their
// gradient and moments.
const (
	unit     = 64
	pieceLen = 1 << 15
)

// newLayout arranges parameters group by group.
func newLayout(s *Settings, layers int, params []*model.Param) *layout {
	l := &layout{byName: make(map[string]int)}
	for _, p := range params {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		g := group{factor: math.Pow(s.LayerDecay, float64(depth(p.Name, layers))), decays: decays(p),
			muon: s.Optimizer == Muon && len(p.Shape) == 2 && strings.Contains(p.Name, blockMark)}
		l.slots = append(l.slots, slot{name: p.Name, shape: p.Shape, len: n, group: g})
	}
	slices.SortStableFunc(l.slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.factor, b.factor), compareBool(a.decays, b.decays), compareBool(a.muon, b.muon), strings.Compare(a.name, b.name))
	})
	for i := range l.slots {
		s := &l.slots[i]
		l.byName[s.name] = i
		s.from = l.size
		l.size += (s.len + unit - 1) / unit * unit
		l.extend(s.from, l.size, s.group)
	}
	return l
}

// compareBool orders true before false.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// extend adds elements to the last piece, and new ones where it is full or of
// another group.
func (l *layout) extend(from, to int, g group) {
	for from < to {
		if n := len(l.pieces); n == 0 || l.pieces[n-1].group != g || l.pieces[n-1].to-l.pieces[n-1].from == pieceLen {
			l.pieces = append(l.pieces, piece{from, from, g})
		}
		last := &l.pieces[len(l.pieces)-1]
		last.to = min(to, last.from+pieceLen)
		from = last.to
	}
}

// decays says whether weight decay acts on a parameter: not on biases and on
// what LayerNorm has.
func decays(p *model.Param) bool { return len(p.Shape) > 1 }

// blockMark stands before the number of a block in the names of its parameters.
const blockMark = ".layer."

// depth is how many steps of layer-wise decay a parameter of a transformer is
// away from the head: 0 for the head, 1 for the last block, layers+1 for the
// embeddings.
func depth(name string, layers int) int {
	if _, rest, ok := strings.Cut(name, blockMark); ok {
		var block int
		if _, err := fmt.Sscanf(rest, "%d.", &block); err == nil {
			return layers - block
		}
	}
	if strings.Contains(name, ".embeddings.") {
		return layers + 1
	}
	return 0
}

// view is parameter s in vector v, an Alloc of the layout's size.
func (s *slot) view(v *kernels.Tensor, rows, cols int) *kernels.Tensor {
	view := v.Slice(s.from, s.from+s.len)
	view.Rows, view.Cols = rows, cols
	return &view
}

// cut is the view of vector v that is piece p, as rows of unit columns.
func (p *piece) cut(v *kernels.Tensor) *kernels.Tensor {
	view := v.Slice(p.from, p.to)
	view.Rows, view.Cols = (p.to-p.from)/unit, unit
	return &view
}
