package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestWriteIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record.json")
	for _, text := range []string{"zeroth", "first"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	failed := errors.New("failed half way")
	err := Write(path, func(w io.Writer) error {
		io.WriteString(w, "sec")
		return failed
	})
	if !errors.Is(err, failed) || strings.Contains(err.Error(), "cannot write") {
		t.Errorf("error %v, want the caller's own", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "first" {
		t.Errorf("a failed write left %q", text)
	}
	err = Replace(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "second")
		return err
	}, func() error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("error %v, want the caller's own", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "first" {
		t.Errorf("a file that was not to be replaced is %q", text)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left, want 1", len(files))
	}
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "file")
	err := Write(deep, func(io.Writer) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "make the folder first") {
		t.Errorf("no folder: %v, want the remedy", err)
	}
	if err := WriteFile(deep, nil); err != nil {
		t.Errorf("WriteFile does not make its folder: %v", err)
	}
	const inTheWay = "a file is where a folder should be"
	if err := WriteFile(filepath.Join(deep, "x", "file"), nil); err == nil || !strings.Contains(err.Error(), inTheWay) {
		t.Errorf("a file in the way: %v", err)
	}
	if err := MakeFolder(deep); err == nil || !strings.Contains(err.Error(), inTheWay) {
		t.Errorf("a file in the way: %v", err)
	}
	if err := MakeFolder(filepath.Dir(deep)); err != nil {
		t.Errorf("a folder that is there: %v", err)
	}
	if err := WriteFile(filepath.Dir(deep), nil); err == nil || !strings.Contains(err.Error(), "a folder is where the file should be") {
		t.Errorf("a folder in the way: %v", err)
	}
}

// full is a disk without room.
type full struct{ io.Writer }

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: ".file.1-0.tmp", Err: syscall.ENOSPC}
}

func TestExplain(t *testing.T) {
	w := &writer{to: full{}}
	io.WriteString(w, "x")
	for err, want := range map[error]string{
		w.err:           "cannot write dir/file: no space left on device: make room there",
		syscall.EROFS:   "make the folder writable, or choose another one",
		syscall.EACCES:  "make the folder writable, or choose another one",
		errors.New("x"): "cannot write dir/file: x",
	} {
		if got := explain("dir/file", err); !strings.HasPrefix(got.Error(), "cannot write dir/file: ") || !strings.Contains(got.Error(), want) {
			t.Errorf("%v became %v, want %s", err, got, want)
		}
	}
}
