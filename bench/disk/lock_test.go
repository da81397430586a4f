package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLock gives a folder to one at a time, without what a killed writer left.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	left, err := createBeside(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	if err := WriteFile(filepath.Join(dir, "checkpoint"), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		release, err := Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), "another process is writing there") {
			t.Errorf("a second lock: %v", err)
		}
		release()
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 || files[0].Name() != "checkpoint" {
		t.Errorf("the folder holds %v, want the checkpoint alone", files)
	}
	if _, err := Lock(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there is locked")
	}
}
