// Package disk writes files that appear whole or not at all.
//
// It imports nothing of this project, and any package may import it.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Write fills path through a temporary file in the same folder, which is synced
// and renamed. On an error what was at path before stays as it was, and the
// message says what to do about a full disk or a folder that cannot be written.
func Write(path string, fill func(io.Writer) error) error {
	if err := write(path, fill); err != nil {
		return fmt.Errorf("cannot write %s: %w%s", path, err, remedy(err))
	}
	return nil
}

// WriteFile writes data to path as Write does.
func WriteFile(path string, data []byte) error {
	return Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func write(path string, fill func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	err = fill(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "; make room there, or choose another folder: nothing written before is lost"
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return "; make the folder writable, or choose another one"
	case errors.Is(err, os.ErrNotExist):
		return "; make the folder first, or choose another one"
	}
	return ""
}
