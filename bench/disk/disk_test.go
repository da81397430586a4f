package disk_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/disk"
)

func TestWriteIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "record.json")
	if err := disk.WriteFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed half way")
	err := disk.Write(path, func(w io.Writer) error {
		io.WriteString(w, "sec")
		return failed
	})
	if !errors.Is(err, failed) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names the file and wraps the cause", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "first" {
		t.Errorf("a failed write left %q", text)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left, want 1", len(files))
	}
}

func TestFolderThatIsNotThere(t *testing.T) {
	err := disk.WriteFile(filepath.Join(t.TempDir(), "no", "file"), nil)
	if err == nil || !strings.Contains(err.Error(), "make the folder first") {
		t.Errorf("error %v, want the remedy", err)
	}
}

// /dev/full is a disk that is always full, but a temporary file cannot be made
// beside it: the remedy is tested on the error itself.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	_, cause := full.Write([]byte("x"))
	err = disk.Write(filepath.Join(t.TempDir(), "file"), func(io.Writer) error { return cause })
	if err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("error %v, want the remedy", err)
	}
}
