package disk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLock gives a folder to one at a time, without what a killed writer left, and with
// what one is writing.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := fmt.Sprintf(".checkpoint.%d-0.tmp", dead.Process.Pid)
	alive := fmt.Sprintf(".checkpoint.%d-0.tmp", os.Getpid())
	for _, name := range []string{left, alive, "checkpoint"} {
		if err := WriteFile(filepath.Join(dir, name), nil); err != nil {
			t.Fatal(err)
		}
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
	if files, _ := os.ReadDir(dir); len(files) != 2 || files[0].Name() != alive || files[1].Name() != "checkpoint" {
		t.Errorf("the folder holds %v, want %s and the checkpoint", files, alive)
	}
	if _, err := Lock(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there is locked")
	}
}
