package report

import (
	"io"
	"path/filepath"
	"strings"

	"optin/bench/disk"
	"optin/bench/record"
)

// Write writes the report of a record into a folder and returns the files it
// wrote: report.md with the pictures it shows, tables.tex, and runs.csv and
// timings.csv with every figure in full precision.
func Write(rec *record.Record, dir string) ([]string, error) {
	pictures, err := pictures(rec)
	if err != nil {
		return nil, err
	}
	type file struct {
		name string
		data []byte
	}
	files := []file{
		{"report.md", []byte(markdownReport(rec, pictures))},
		{"tables.tex", []byte(latexTables(rec))},
		{"runs.csv", runsCSV(rec)},
		{"timings.csv", timingsCSV(rec)},
	}
	for _, p := range pictures {
		files = append(files, file{p.name + ".png", p.png}, file{p.name + ".svg", p.svg})
	}
	var written []string
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := disk.WriteFile(path, f.data); err != nil {
			return written, err
		}
		written = append(written, path)
	}
	return written, nil
}

// Print writes the tables of a record for a terminal.
func Print(w io.Writer, rec *record.Record) error {
	var b strings.Builder
	for _, t := range tables(rec) {
		if err := t.terminal(&b); err != nil {
			return err
		}
	}
	for _, text := range warnings(rec) {
		b.WriteString("warning: " + text + "\n")
	}
	b.WriteString(verdict(rec) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}
