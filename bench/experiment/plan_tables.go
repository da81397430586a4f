package experiment

import (
	"slices"

	"optin/bench/task"
)

// The tables of an experiment file, as one run sees them. What a key means, its
// default and its range are in one place only: the method keys of its table.

// Model is the table [model].
type Model struct {
	Path string
}

// Task is the table [task]; it converts to [task.Config].
type Task struct {
	Name       string
	Path       string
	MaxLength  int
	Metrics    []string
	Labels     []string
	Format     string
	Train      string
	Dev        string
	Test       string
	Text       string
	TextPair   string
	Label      string
	NoHeader   bool
	Regression bool
	Words      bool
}

// Config is the table as package task takes it.
func (t Task) Config() task.Config { return task.Config(t) }

// Score is the table [score].
type Score struct {
	Method   string
	Mode     string
	Estimate string

	Probes    int
	ProbeSeed uint64
	Heads     string
	Check     int
	PerBatch  int

	Samples    int
	Seed       uint64
	RandomSeed uint64

	Kinds   string
	Loss    string
	Lambda  float64
	Balance string
	Tau     float64
	Depth   int
	Group   int

	Tap                   string
	MDReduce              string
	MDTokens              int
	MDPadding             bool
	TokenFile             string
	TauDivides            bool
	KLFactor              string
	RegressionKL          string
	CumulativeLastHead    bool
	IndexWeights          bool
	LastLayerWeight       float64
	LastLayerNeuronWeight float64
	HeadWeight            float64
	NeuronWeight          float64
}

// Draw is the seed that tells runs of the same method apart: RandomSeed for the
// method random, else Seed.
func (s Score) Draw() uint64 {
	if s.Method == Random {
		return s.RandomSeed
	}
	return s.Seed
}

// Search is the table [search].
type Search struct {
	Method     string
	Steps      int
	Swaps      bool
	Released   bool
	Constraint string
	Total      string

	LatencyBatch   int
	NeuronMultiple int

	Keep       float64
	MinHeads   int
	MinNeurons int
	SeqLen     float64
}

// probed says whether the search works on probes of the trajectory.
func (s Search) probed() bool { return s.Method == Joint || s.Method == Surgeon }

// Rebuild is the table [rebuild].
type Rebuild struct {
	Method   string
	Samples  int
	Seed     uint64
	Released bool
}

// Measure is the table [measure].
type Measure struct {
	Batch    []int
	Methods  []string
	Samples  int
	MinTime  float64
	EndToEnd bool
	Energy   bool
}

// times says whether models of a scoring method are timed.
func (m Measure) times(method string) bool {
	return len(m.Methods) == 0 || slices.Contains(m.Methods, method)
}

// Evaluate is the table [evaluate].
type Evaluate struct {
	Split string
	Limit int
}
