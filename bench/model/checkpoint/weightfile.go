package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// weightFile is an open file of known size, read by position only.
type weightFile struct {
	path string
	size int64
	io.ReaderAt
	io.Closer
}

// openFile opens path for positioned reads and refuses what is plainly not a weight file.
func openFile(path string) (*weightFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	w := &weightFile{path: path, size: info.Size(), ReaderAt: f, Closer: f}
	if err := w.refusePlaceholder(); err != nil {
		f.Close()
		return nil, err
	}
	return w, nil
}

// refusePlaceholder recognises what downloads leave behind in place of weights: nothing, a Git LFS pointer, a web page.
func (w *weightFile) refusePlaceholder() error {
	start := make([]byte, min(w.size, 64))
	if _, err := w.ReadAt(start, 0); err != nil && err != io.EOF {
		return err
	}
	start = bytes.ToLower(start)
	switch {
	case w.size == 0:
		return damaged(w.path, "", "the file is empty")
	case bytes.HasPrefix(start, []byte("version https://git-lfs")):
		return &FormatError{File: w.path, Problem: "this is a Git LFS pointer, not the weights",
			Remedy: "run git lfs pull in its repository, or download the file itself"}
	case bytes.HasPrefix(start, []byte("<!doctype")), bytes.HasPrefix(start, []byte("<html")):
		return damaged(w.path, "", "this is a web page, not weights")
	}
	return nil
}
