package task

import (
	"errors"
	"fmt"
	"io/fs"
)

// MissingSplit says that a user's own data has no file of a split.
type MissingSplit struct{ Split, Remedy string }

func (m *MissingSplit) Error() string { return fmt.Sprintf("no %s split: %s", m.Split, m.Remedy) }

// orMissing makes the error of opening a file or folder say what to do about
// it where it does not exist.
func orMissing(err error, what, path, remedy string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not at %s: %s", what, path, remedy)
	}
	return err
}

// orDefault returns the path that was given, else the default one.
func orDefault(path, standard string) string {
	if path != "" {
		return path
	}
	return standard
}
