package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Load reads the record in a file.
func Load(path string) (*Record, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("record: %s does not exist: run the experiment first, or name its results folder", path)
	case err != nil:
		return nil, fmt.Errorf("record: %w", err)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("record: %s: %w", path, explain(err, data))
	}
	switch {
	case head.Version < 1:
		return nil, fmt.Errorf("record: %s has no version: it is not a record of an experiment", path)
	case head.Version > Version:
		return nil, fmt.Errorf("record: %s has version %d, this program reads up to %d: use a newer optin, or run the experiment again",
			path, head.Version, Version)
	}
	rec := new(Record)
	if err := json.Unmarshal(data, rec); err != nil {
		return nil, fmt.Errorf("record: %s: %w", path, explain(err, data))
	}
	if err := rec.check(); err != nil {
		return nil, fmt.Errorf("record: %s: %w: the file is damaged, run the experiment again", path, err)
	}
	return rec, nil
}

// check finds what no reader of a record could make sense of.
func (r *Record) check() error {
	known := map[string]bool{}
	for i, m := range r.Models {
		known[m.Name] = true
		if slices.ContainsFunc(m.Metrics, nameless) {
			return fmt.Errorf("models[%d] has a metric without a name", i)
		}
	}
	for i, run := range r.Runs {
		switch {
		case !known[run.Model]:
			return fmt.Errorf("runs[%d] is of the model %q, which is not in it", i, run.Model)
		case slices.ContainsFunc(run.Metrics, nameless):
			return fmt.Errorf("runs[%d] has a metric without a name", i)
		}
	}
	return nil
}

func nameless(m Metric) bool { return m.Name == "" }

// explain adds the line to an error of decoding.
func explain(err error, data []byte) error {
	line := func(offset int64) int {
		return 1 + bytes.Count(data[:min(int64(len(data)), offset)], []byte("\n"))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %w: the file is damaged, run the experiment again", line(e.Offset), e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("line %d: %s holds a %s, want %s: the file is damaged, run the experiment again",
			line(e.Offset), e.Field, e.Value, e.Type)
	}
	return err
}
