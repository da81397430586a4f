// Package published holds the figures that others have published, from the TOML
// files beside it, to be put beside ours. It computes nothing and guesses
// nothing: a figure that is not to hand is not in it.
package published

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/BurntSushi/toml"
)

//go:embed *.toml
var files embed.FS

// Figure is one published figure.
type Figure struct {
	Source string  `toml:"-"` // of its file: authors, title, where
	Within float64 `toml:"-"` // points that it may be off, because it was read off a plot; 0: as printed

	Method  string   `toml:"method"`  // such as "OPTIN"
	Model   string   `toml:"model"`   // such as "BERT-base"
	Task    string   `toml:"task"`    // as package task names it
	Metric  string   `toml:"metric"`  // "" where the source does not name it
	Keep    *float64 `toml:"keep"`    // share of the dense encoder's MACs; nil where it was pruned otherwise
	Setting string   `toml:"setting"` // how, where Keep does not say
	Value   *float64 `toml:"value"`   // percent; nil where only Drop is known
	Drop    *float64 `toml:"drop"`    // points below the dense model; nil where only Value is known
	Speedup *float64 `toml:"speedup"` // dense over pruned
	Missing bool     `toml:"missing"` // there is such a figure, or should be, but it is not to hand
}

// Of returns the figures of a task, in the order of the files' names and of each
// file. It panics if a file is damaged, for the files are part of the program.
func Of(task string) []Figure {
	all, err := read(files)
	if err != nil {
		panic(err)
	}
	var out []Figure
	for _, f := range all {
		if f.Task == task {
			out = append(out, f)
		}
	}
	return out
}

// read reads all files of a folder.
func read(folder fs.FS) ([]Figure, error) {
	names, err := fs.Glob(folder, "*.toml")
	if err != nil {
		return nil, err
	}
	var all []Figure
	for _, name := range names {
		var file struct {
			Source string   `toml:"source"`
			Within float64  `toml:"within"`
			Figure []Figure `toml:"figure"`
		}
		meta, err := toml.DecodeFS(folder, name, &file)
		if err != nil {
			return nil, fmt.Errorf("published: %s: %w", name, err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return nil, fmt.Errorf("published: %s: unknown key %s", name, unknown[0])
		}
		if file.Source == "" {
			return nil, fmt.Errorf("published: %s: source is missing: say who published these figures, and where", name)
		}
		for i, f := range file.Figure {
			f.Source, f.Within = file.Source, file.Within
			if err := f.check(); err != nil {
				return nil, fmt.Errorf("published: %s: figure %d: %w", name, i+1, err)
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// check refuses figures that say too little to be put anywhere.
func (f Figure) check() error {
	switch {
	case f.Method == "" || f.Model == "" || f.Task == "":
		return fmt.Errorf("method, model or task is missing")
	case f.Value == nil && f.Drop == nil && !f.Missing:
		return fmt.Errorf("value and drop are missing: give one, or missing = true")
	case f.Missing && (f.Value != nil || f.Drop != nil):
		return fmt.Errorf("missing is true beside a value or drop: leave one out")
	case f.Keep == nil && f.Setting == "":
		return fmt.Errorf("keep and setting are missing: give one")
	case f.Keep != nil && !(*f.Keep > 0 && *f.Keep <= 1):
		return fmt.Errorf("keep is %v, want a share above 0 and at most 1", *f.Keep)
	case f.Value != nil && !(*f.Value >= 0 && *f.Value <= 100):
		return fmt.Errorf("value is %v, want percent", *f.Value)
	}
	return nil
}
