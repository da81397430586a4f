package experiment

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"optin/bench/disk"
)

// Plan is an experiment file that was read and found to make sense. [WriteKeys]
// says what may stand in one.
type Plan struct {
	File      string   // where it came from, for messages
	Text      string   // as it was read
	Overrides []string // key=value, applied last

	Name      string
	Seed      uint64
	Device    string
	Precision string // in which models are evaluated and timed
	Threads   int
	Rows      int // packed rows of a micro-batch; 0: what the device likes
	Output    string
	Stages    string // folder of what finished stages found

	runs []Run
}

// Run is one point of the grid that a plan spans: every key has one value.
type Run struct {
	Model    Model
	Task     Task
	Score    Score
	Search   Search
	Rebuild  Rebuild
	Measure  Measure
	Evaluate Evaluate

	// Variant names the values of the keys that differ between the plan's runs
	// and have no column of their own in a record, as "lambda=0.1 samples=32".
	Variant string

	listed []string // full names of the keys that the file gives a list and the run reads
}

// LoadPlan reads an experiment file. Each override is a key and a value such as
// "score.samples=32", in the syntax of the file save that text needs no quotes,
// and wins over the file and its targets.
func LoadPlan(path string, overrides ...string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	return ParsePlan(path, text, overrides...)
}

// ParsePlan reads the text of an experiment file. The error names every key that
// is unknown, mistyped or out of range, each on a line with file and line.
func ParsePlan(file string, text []byte, overrides ...string) (*Plan, error) {
	p := &Plan{File: file, Text: string(text), Overrides: overrides}
	src, err := readSource(file, text, overrides, append(p.keys(), new(Run).keys(0)...), true)
	if err != nil {
		return nil, err
	}
	fill(src, src.top, p.keys(), " for the whole file: run it again for another, or put the list at a key of a table")
	if err := src.err(); err != nil {
		return nil, err
	}
	if p.Name == "" {
		base := filepath.Base(file)
		p.Name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	if p.Output == "" {
		p.Output = filepath.Join("results", p.Name)
	}
	if p.Stages == "" {
		p.Stages = filepath.Join(p.Output, "stages")
	}
	for _, settings := range src.targets {
		runs := expand(src, settings, p.Seed)
		if err := src.err(); err != nil {
			return nil, err
		}
		p.runs = append(p.runs, runs...)
		if len(p.runs) > maxRuns {
			return nil, tooManyRuns(file, len(p.runs))
		}
	}
	p.runs = distinct(p.runs)
	nameVariants(p.runs)
	return p, nil
}

// Lock makes the plan's output folder and keeps it to this process, as [disk.Lock]
// does: two that run one experiment at once would do all work twice, time models
// beside each other's, and leave the report of whichever ends last.
func (p *Plan) Lock() (release func(), err error) {
	if err = disk.MakeFolder(p.Output); err == nil {
		release, err = disk.Lock(p.Output)
	}
	if err != nil {
		return nil, fmt.Errorf("results folder (key output): %w", err)
	}
	return release, nil
}

// fill sets keys that take one value each. why ends the message about a list.
func fill(src *source, set settings, keys []key, why string) {
	for _, k := range keys {
		e, ok := set[k.path()]
		if !ok {
			k.set(k.standard)
			src.require(k)
			continue
		}
		values := k.values(src, e)
		if len(values) > 1 {
			src.fail(e, "%s takes one value%s", k.path(), why)
		}
		if len(values) > 0 {
			k.set(values[0])
		}
	}
}

// Expand returns the runs of the grid. Keys that a method does not read are at
// their defaults, and runs that differ in nothing else are there once.
func (p *Plan) Expand() []Run { return append([]Run(nil), p.runs...) }
