package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write fills path through a temporary file in the same folder, which is forced
// to the disk and then takes the name path. On an error what was at path before
// stays as it was. An error of fill's own is returned as it is; one of the disk
// names path and says what to do.
func Write(path string, fill func(io.Writer) error) error {
	return Replace(path, fill, func() error { return nil })
}

// Replace writes as Write does, and calls ready when all is on the disk, before
// it takes the name. An error of ready's own is returned as it is, and leaves
// path as it was.
func Replace(path string, fill func(io.Writer) error, ready func() error) error {
	f, err := createBeside(path)
	if err != nil {
		return explain(path, err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	w := &writer{to: f}
	if err := fill(w); err != nil && w.err == nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(w.err, f.Sync(), f.Close()); err != nil {
		return explain(path, err)
	}
	if err := ready(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		if info, e := os.Stat(path); e == nil && info.IsDir() {
			err = syscall.EISDIR // rename says that it exists
		}
		return explain(path, err)
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// WriteFile writes data to path as Write does, after making its folder.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return explain(path, err)
	}
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// MakeFolder makes a folder and those above it, unless they are there, and makes
// sure that files can be written to it.
func MakeFolder(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return explain(path, err)
	}
	f, err := createBeside(filepath.Join(path, "writable"))
	if err != nil {
		return explain(path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// writer remembers an error of the disk.
type writer struct {
	to  io.Writer
	err error
}

func (w *writer) Write(data []byte) (int, error) {
	n, err := w.to.Write(data)
	if err != nil {
		w.err = err
	}
	return n, err
}

// tries bounds the search for a name that no other writer of this process holds.
const tries = 1000

// createBeside makes a file of a fresh name in the folder of path, with the
// permissions that the user's files have.
func createBeside(path string) (*os.File, error) {
	for try := 0; ; try++ {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d-%d.tmp", filepath.Base(path), os.Getpid(), try))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) || try == tries {
			return f, err
		}
	}
}

// syncFolder makes a rename last. A file system that cannot sync a folder has
// nothing to lose by it.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// explain says that path cannot be written, why, and what to do.
func explain(path string, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		remedy = ": make room there, or choose another folder; nothing written before is lost"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		remedy = ": make the folder writable, or choose another one"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		remedy = ": a file is where a folder should be; move it, or choose another folder"
	case errors.Is(err, syscall.EISDIR):
		remedy = ": a folder is where the file should be; move it, or choose another name"
	case errors.Is(err, fs.ErrNotExist):
		remedy = ": make the folder first, or choose another one"
	}
	return fmt.Errorf("cannot write %s: %w%s", path, cause(err), remedy)
}

// cause is an error without the name of the temporary file.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
