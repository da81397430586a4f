package experiment

import (
	"errors"
	"fmt"
	"slices"

	"optin/bench/prune"
	"optin/kernels"
)

// stepRows is under what a store keeps the rows that fit into a device's memory.
const stepRows Step = "rows"

// fitting calls work on a subject, and again as often as the device runs out of
// memory, with half as many rows in a micro-batch each time; work must look up
// the micro-batches when it is called. What fits is remembered, by later runs
// too, and stands in the record.
func fitting[T any](e *engine, s *Subject, work func() (T, error)) (T, error) {
	before := s.Rows
	for {
		result, err := work()
		if !errors.Is(err, kernels.ErrOutOfMemory) {
			if err == nil && s.Rows < before {
				err = e.keepRows(s)
			}
			return result, err
		}
		e.host.trim()
		if !s.halve() {
			return result, fmt.Errorf(`%w, with a single example in a micro-batch: scores and rebuilds need less for fewer examples (score.samples, rebuild.samples), whose hidden states are kept; or use device = "cpu"`, err)
		}
		e.host.logf("%s: %v; going on with micro-batches of %d rows", s.Name, err, s.Rows)
	}
}

// tooLarge says what to change where the batches that are timed do not fit into
// memory.
func tooLarge(err error, key string) error {
	if errors.Is(err, kernels.ErrOutOfMemory) {
		return fmt.Errorf("%w: set %s to less", err, key)
	}
	return err
}

// rowsKey is what rows that fit depend on.
func (e *engine) rowsKey(s *Subject) (string, error) { return digest([]any{"rows", s.Digest, e.facts}) }

// fitRows sets a new subject's rows: what is asked for, or less where that was too
// much for the device in an earlier run.
func (e *engine) fitRows(s *Subject) error {
	s.Rows = e.rows
	key, err := e.rowsKey(s)
	if err != nil {
		return err
	}
	rows, _, found, err := known[int](e.store, stepRows, key)
	if found && err == nil {
		s.Rows = rows
	}
	return err
}

// keepRows stores the rows that fit.
func (e *engine) keepRows(s *Subject) error {
	key, err := e.rowsKey(s)
	if err != nil {
		return err
	}
	return save(e.store, stepRows, key, s.Rows, 0)
}

// warnOfRows enters into the record which subjects had to do with fewer rows.
func (e *engine) warnOfRows() {
	var list []string
	for _, s := range e.subjects {
		if s.Rows < e.rows {
			list = append(list, fmt.Sprintf("%s: micro-batches have %d rows instead of %d, for which the device had no memory; remove %s to try again",
				s.Name, s.Rows, e.rows, e.store.path(stepRows, "*")))
		}
	}
	slices.Sort(list)
	e.record.Warnings = append(e.record.Warnings, slices.Compact(list)...)
}

// halve halves the rows of micro-batches, and says whether they can have become
// smaller by that.
func (s *Subject) halve() bool {
	longest := 0
	for _, c := range s.calibrations {
		for _, in := range c.Batches {
			longest = max(longest, in.Seq.Max)
		}
	}
	for _, f := range s.feeds {
		for _, n := range f.lengths {
			longest = max(longest, n)
		}
	}
	if s.Rows <= longest {
		return false
	}
	s.Rows /= 2
	for _, c := range s.calibrations {
		c.recut(s.Rows)
	}
	for _, f := range s.feeds {
		f.ends = prune.Cut(f.lengths, s.Rows)
	}
	return true
}

// recut makes micro-batches of at most about rows rows.
func (c *Calibration) recut(rows int) {
	var targets []float64
	for _, list := range c.Targets {
		targets = append(targets, list...)
	}
	c.Batches, c.Targets = prune.Recut(c.Batches, rows), nil
	for _, in := range c.Batches {
		c.Targets = append(c.Targets, targets[:in.Examples()])
		targets = targets[in.Examples():]
	}
}
