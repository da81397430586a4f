package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Save writes a record, with the version this program writes. The file is
// replaced in one step: whatever goes wrong, the old one stays whole.
func Save(path string, rec *Record) error {
	versioned := *rec
	versioned.Version = Version
	data, err := json.MarshalIndent(&versioned, "", "  ")
	if err != nil {
		return fmt.Errorf("record: %s: %w: a figure that is not a number must be left out", path, err)
	}
	return WriteFile(path, append(oneLine(data), '\n'))
}

// WriteFile replaces a file in one step, creating its folder: the data is
// written to a temporary file beside it and forced to the disk, which then takes
// the file's name.
func WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return remedy(path, err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return remedy(path, err)
	}
	defer os.Remove(f.Name()) // does nothing once it is renamed
	if _, err := f.Write(data); err != nil {
		return remedy(path, errors.Join(err, f.Close()))
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync()); err != nil {
		return remedy(path, errors.Join(err, f.Close()))
	}
	if err := f.Close(); err != nil {
		return remedy(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return remedy(path, err)
	}
	// A file system that cannot sync a folder has nothing to lose by it.
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		return d.Close()
	}
	return nil
}

// remedy makes an error of writing say what to do.
func remedy(path string, err error) error {
	const elsewhere = "or set output to another folder"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("cannot write %s: the disk is full: free some space, %s", path, elsewhere)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("cannot write %s: the file system is read-only: make it writable, %s", path, elsewhere)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot write %s: permission denied: make %s writable, %s", path, filepath.Dir(path), elsewhere)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("cannot write %s: a file is where its folder should be: move it, %s", path, elsewhere)
	}
	return fmt.Errorf("cannot write %s: %w", path, err)
}

// oneLine puts every array of numbers of an indented JSON text on a line of its
// own, so that a record of many scores stays readable.
func oneLine(indented []byte) []byte {
	out := make([]byte, 0, len(indented))
	for i := 0; i < len(indented); i++ {
		c := indented[i]
		if c == '"' { // copy strings whole
			end := i + 1
			for indented[end] != '"' {
				if indented[end] == '\\' {
					end++
				}
				end++
			}
			out = append(out, indented[i:end+1]...)
			i = end
			continue
		}
		out = append(out, c)
		if c != '[' {
			continue
		}
		end := i + 1
		for end < len(indented) && isNumeric(indented[end]) {
			end++
		}
		if indented[end] != ']' {
			continue
		}
		for _, c := range indented[i+1 : end] {
			switch c {
			case '\n', ' ':
			case ',':
				out = append(out, ',', ' ')
			default:
				out = append(out, c)
			}
		}
		i = end - 1
	}
	return out
}

// isNumeric reports whether c is part of a list of numbers.
func isNumeric(c byte) bool {
	switch c {
	case ' ', '\n', ',', '.', '-', '+', 'e', 'E':
		return true
	}
	return c >= '0' && c <= '9'
}
