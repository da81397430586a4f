package record

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
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
		return nil, fmt.Errorf("record: %s: %w: the file is damaged, or no record of an experiment: run the experiment again", path, explain(err, data))
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
		return nil, fmt.Errorf("record: %s: %w: the file is damaged, run the experiment again", path, explain(err, data))
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

// explain says in which line JSON cannot be decoded, and why, in words of JSON and
// none of Go.
func explain(err error, data []byte) error {
	line := func(offset int64) int {
		return 1 + bytes.Count(data[:min(int64(len(data)), offset)], []byte("\n"))
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("line %d: %w", line(e.Offset), e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("line %d: %s holds %s, want %s", line(e.Offset), cmp.Or(e.Field, "the file"), held(e.Value), wanted(e.Type))
	}
	return err
}

// held words what package json says that a value is, such as "array" or "number 1.5".
func held(value string) string {
	switch value {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	}
	return "a " + value
}

// wanted words what JSON has for a type.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	}
	return "a whole number"
}
