package prune

import "optin/bench/model"

// Options say how the trajectory of a masked unit is measured. Those that only
// weigh the measured parts are in Weighing, so that they can change without
// measuring again. The zero value of a switch is the paper's method; REF marks
// what the authors' released code does instead.
type Options struct {
	Tau   float64   // KL temperature, above 0
	Tap   model.Tap // REF: TapFFN, for language
	Depth int       // how many later blocks count; 0: all
	Group int       // consecutive samples per Gram matrix; 0: all in one
	Rows  int       // packed rows of a micro-batch; 0: MicroRows
	NoMD  bool      // leave a part out, and its time
	NoKD  bool

	// Units, if not nil, says how many units of a site are scored, from the
	// first; the others' parts are NaN. For measuring what scoring costs.
	Units func(model.Site) int `json:"-"`

	// Only, if not nil, are the units of each site that are scored; the others'
	// parts are NaN.
	Only [][]int `json:",omitempty"`

	// Known, if not nil, is what an earlier call with the same examples returned
	// beside its error: these sites are not scored again.
	Known *Parts `json:"-"`

	RawLogits  bool  // REF: logits are not divided by tau, only the factor tau^2 stays
	LastHead   bool  // REF: the last head of every earlier layer stays masked while heads of a later one are scored
	Tokens     int   // REF: 768 random tokens of each group enter the Gram; 0: all
	TokenSeed  int64 // which
	TokenList  []int // instead of random ones: indices into a group's rows
	MeanOfGram bool  // divide a group's loss by the square of the rows that enter its Gram
}

// DefaultOptions is the paper's method.
func DefaultOptions() Options { return Options{Tau: 4} }

// Parts are the two losses of every unit, by site, before weighing.
type Parts struct {
	MD [][]float64 // manifold distillation over the later blocks
	KD [][]float64 // tau^2 KL, or the squared difference of a regression head
}
