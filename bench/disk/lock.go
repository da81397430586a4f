package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
)

// leftover is a name that createBeside gives, with the process that took it.
var leftover = regexp.MustCompile(`^\..+\.([0-9]+)-[0-9]+\.tmp$`)

// Lock keeps a folder to this process, until the lock is released or the process
// ends, and removes what writers that were killed have left in it. Where another
// process has the folder, it is an error that says so. A file system without locks
// gives every one that is asked for.
func Lock(folder string) (release func(), err error) {
	d, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	if err := lock(d); err != nil {
		d.Close()
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	if err != nil {
		d.Close()
		return nil, err
	}
	for _, name := range names {
		if m := leftover.FindStringSubmatch(name); m != nil && gone(m[1]) {
			os.Remove(filepath.Join(folder, name)) // or it goes on taking room, no more
		}
	}
	return func() { d.Close() }, nil
}

func lock(folder *os.File) error {
	err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("%s: another process is writing there: wait for it, or choose another folder", folder.Name())
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOTSUP):
		return nil
	case err != nil:
		return fmt.Errorf("%s cannot be locked: %w", folder.Name(), err)
	}
	return nil
}

// gone says whether there is no process of a number any more.
func gone(process string) bool {
	pid, err := strconv.Atoi(process)
	return err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
