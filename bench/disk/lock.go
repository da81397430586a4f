package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// leftover is a name that createBeside gives.
var leftover = regexp.MustCompile(`^\..+\.[0-9]+-[0-9]+\.tmp$`)

// Lock keeps a folder to this process, until the lock is released or the process
// ends, and removes what writers that were killed have left in it. Where another
// process has the folder, it is an error that says so. A file system without locks
// gives every one that is asked for.
func Lock(folder string) (release func(), err error) {
	d, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		d.Close()
		return nil, fmt.Errorf("%s: another process is writing there: wait for it, or choose another folder", folder)
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		d.Close()
		return nil, err
	}
	for _, name := range names {
		if leftover.MatchString(name) {
			os.Remove(filepath.Join(folder, name)) // or it goes on taking room, no more
		}
	}
	return func() { d.Close() }, nil
}
