package disk

import (
	"bufio"
	"fmt"
	"io"
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

// TestLockOfTheDead takes a folder from a process that was killed while it had it.
func TestLockOfTheDead(t *testing.T) {
	const folder = "OPTIN_TEST_LOCK"
	if dir := os.Getenv(folder); dir != "" { // in the other process
		if _, err := Lock(dir); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	dir := t.TempDir()
	other := exec.Command(os.Args[0], "-test.run=^TestLockOfTheDead$")
	other.Env = append(os.Environ(), folder+"="+dir)
	if _, err := other.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q %v", line, err)
	}
	if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), "another process is writing there") {
		t.Errorf("beside a process that lives: %v", err)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	other.Wait()
	release, err := Lock(dir)
	if err != nil {
		t.Fatalf("after a process that was killed: %v", err)
	}
	release()
}
