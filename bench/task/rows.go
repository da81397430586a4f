package task

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// lineLimit is the longest line that is read, in bytes.
const lineLimit = 16 << 20

// row is one record of a text file.
type row struct {
	line   int
	fields []string          // TSV, CSV
	keys   map[string]string // JSON lines
}

// rows reads the records of a TSV, CSV or JSON lines file.
type rows struct {
	path   string
	header []string // nil without a header, and for JSON lines
	jsonl  bool
	next   func() (row, error) // io.EOF at the end
}

// The byte order mark that some editors put before a text.
var utf8Mark = []byte("\ufeff")

// formatOf is the format of a file by the key or else by its extension.
func formatOf(format, path string) (string, error) {
	if format == "" {
		format = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
		if format == "json" {
			format = "jsonl"
		}
	}
	switch format {
	case "tsv", "csv", "jsonl":
		return format, nil
	}
	return "", fmt.Errorf("%s: format %q is not known: name the file .tsv, .csv or .jsonl, or set task.format to one of them", path, format)
}

// readRows opens a file and calls each for every record, in order, until it
// returns an error.
func readRows(path, format string, header bool, each func(*rows, row) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return scanRows(f, path, format, header, each)
}

// scanRows is readRows over what is already open.
func scanRows(f io.Reader, path, format string, header bool, each func(*rows, row) error) error {
	in := bufio.NewReaderSize(f, 1<<16)
	if head, _ := in.Peek(len(utf8Mark)); bytes.Equal(head, utf8Mark) {
		in.Discard(len(utf8Mark))
	}
	r := &rows{path: path}
	switch format {
	case "csv":
		r.next = csvRows(in)
	case "jsonl":
		r.next, r.jsonl, header = jsonRows(in), true, false
	default:
		r.next = tsvRows(in)
	}
	if header {
		first, err := r.next()
		if err == io.EOF {
			return fmt.Errorf("%s: empty, want a header line with the columns' names", path)
		}
		if err != nil {
			return r.bad(row{line: 1}, err)
		}
		r.header = first.fields
	}
	for {
		rec, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = each(r, rec)
		}
		if err != nil {
			return r.bad(rec, err)
		}
	}
}

// bad adds file and line to what is wrong with a record.
func (r *rows) bad(rec row, err error) error {
	return fmt.Errorf("%s: line %d: %w", r.path, rec.line, err)
}

// tsvRows reads lines cut at every tab: no quotes, no escapes. Empty lines
// are left out.
func tsvRows(in *bufio.Reader) func() (row, error) {
	lines, n := newLines(in), 0
	return func() (row, error) {
		for lines.Scan() {
			n++
			if text := lines.Text(); text != "" {
				return row{line: n, fields: strings.Split(text, "\t")}, nil
			}
		}
		return row{line: n + 1}, endOf(lines)
	}
}

func newLines(in *bufio.Reader) *bufio.Scanner {
	s := bufio.NewScanner(in)
	s.Buffer(nil, lineLimit)
	return s
}

// endOf is why a scanner stopped.
func endOf(s *bufio.Scanner) error {
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("longer than %d bytes: is this a text file?", lineLimit)
	}
	if s.Err() != nil {
		return s.Err()
	}
	return io.EOF
}

// csvRows reads records as RFC 4180 has them.
func csvRows(in *bufio.Reader) func() (row, error) {
	c := csv.NewReader(in)
	c.FieldsPerRecord = -1
	return func() (row, error) {
		fields, err := c.Read()
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return row{line: bad.StartLine}, bad.Err
		}
		if err != nil {
			return row{}, err
		}
		line, _ := c.FieldPos(0)
		return row{line: line, fields: fields}, nil
	}
}

// jsonRows reads one JSON object a line. Strings, numbers and booleans are
// values; other members are passed over.
func jsonRows(in *bufio.Reader) func() (row, error) {
	lines, n := newLines(in), 0
	return func() (row, error) {
		for lines.Scan() {
			n++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			var members map[string]json.RawMessage
			if err := json.Unmarshal(lines.Bytes(), &members); err != nil {
				return row{line: n}, fmt.Errorf("want one JSON object: %w", err)
			}
			rec := row{line: n, keys: make(map[string]string, len(members))}
			for k, raw := range members {
				if v, ok := scalar(raw); ok {
					rec.keys[k] = v
				}
			}
			return rec, nil
		}
		return row{line: n + 1}, endOf(lines)
	}
}

// scalar is the text of a string, number or boolean.
func scalar(raw json.RawMessage) (string, bool) {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", false
	case raw[0] != '"':
		return string(raw), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// column finds values by name, or by number where there is no header.
type column struct {
	name  string
	index int // -1 for JSON lines
}

// column looks up a column of the file.
func (r *rows) column(name string) (column, error) {
	if r.jsonl {
		return column{name, -1}, nil
	}
	if r.header == nil {
		n, err := strconv.Atoi(name)
		if err != nil || n < 1 {
			return column{}, fmt.Errorf("column %q: without a header a column is a number from 1", name)
		}
		return column{name, n - 1}, nil
	}
	if i := slices.Index(r.header, name); i >= 0 {
		if slices.Contains(r.header[i+1:], name) {
			return column{}, fmt.Errorf("column %q is twice in the header: rename one", name)
		}
		return column{name, i}, nil
	}
	return column{}, fmt.Errorf("no column %q: the header has %q", name, r.header)
}

// value is a record's value in a column.
func (r *rows) value(rec row, c column) (string, error) {
	if c.index < 0 {
		v, ok := rec.keys[c.name]
		if !ok {
			return "", fmt.Errorf("no %q, want an object with it as a string or a number", c.name)
		}
		return v, nil
	}
	if r.header != nil && len(rec.fields) != len(r.header) {
		return "", fmt.Errorf("%d columns, want %d as in the header", len(rec.fields), len(r.header))
	}
	if c.index >= len(rec.fields) {
		return "", fmt.Errorf("%d columns, want at least %d", len(rec.fields), c.index+1)
	}
	return rec.fields[c.index], nil
}
