package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullFolder runs on a disk that is nearly full: what was finished stays,
// and with more room the run goes on.
func TestFullFolder(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	if err := os.Mkdir(results, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", results, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(results, syscall.MNT_DETACH)
	const most = 256 << 10
	filler := filepath.Join(results, "filler")
	if err := os.WriteFile(filler, make([]byte, most-8*4096), 0o666); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, []string{"cannot write " + results, "make room there, or choose another folder; nothing written before is lost"}, "run", path)
	before := stages(t, results)
	if len(before) == 0 {
		t.Error("nothing was kept")
	}
	hidden, err := filepath.Glob(filepath.Join(results, "stages", ".*"))
	if err != nil || len(hidden) > 0 {
		t.Errorf("left behind: %v %v", hidden, err)
	}
	if err := syscall.Mount("", results, "", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Skipf("the disk cannot be made larger: %v", err)
	}
	works(t, "run", path)
	for name, text := range stages(t, results) {
		if old, ok := before[name]; ok && old != text {
			t.Errorf("%s was done again", name)
		}
	}
}

// TestReadOnlyFolder mounts a disk that not even root can write to.
func TestReadOnlyFolder(t *testing.T) {
	results := t.TempDir()
	if err := syscall.Mount("tmpfs", results, "tmpfs", syscall.MS_RDONLY, "size=64k"); err != nil {
		t.Skipf("a read-only disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(results, syscall.MNT_DETACH)
	path, _ := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	fails(t, exitFailed, []string{"results folder (key output)", "cannot write " + results, "make the folder writable, or choose another one"}, "run", path, "--output", results)
	fails(t, exitFailed, []string{"folder of stages (key stages)", "cannot write " + results}, "run", path, "--set", "stages="+results)
}

// TestFullOutput prints to a pipe without room.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	var stderr strings.Builder
	if code := run(t.Context(), full, &stderr, []string{"predict", "--model", textModel(t, "bert-basic"), "--text", "a", "--device", "ref"}); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("status %d: %s", code, stderr.String())
	}
}
