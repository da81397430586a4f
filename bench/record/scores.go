package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"optin/bench/disk"
)

// SaveScores writes scores by themselves to a file, as a list. It replaces an
// earlier list of scores, and is an error where path holds anything else.
func SaveScores(path string, all []Scores) error {
	if err := MayHoldScores(path); err != nil {
		return err
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("record: %s: %w: a figure that is not a number must be left out", path, err)
	}
	return disk.WriteFile(path, append(text, '\n'))
}

// MayHoldScores is an error where [SaveScores] would refuse to write: where there is
// something that is no list of scores. Callers with long work ahead of them find out
// early.
func MayHoldScores(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // a file for a folder is disk's to explain
		return nil
	case err != nil:
		return fmt.Errorf("file of scores: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: is no file that scores can be written to: choose another one", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("file of scores: %w", err)
	}
	defer f.Close()
	if !listsScores(f) {
		return fmt.Errorf("%s: is there already and holds no scores, so it is not written over: remove it, or choose another file", path)
	}
	return nil
}

// listsScores says whether a text is what SaveScores writes. It reads no further than
// where it is not.
func listsScores(text io.Reader) bool {
	in := json.NewDecoder(text)
	if open, err := in.Token(); err != nil || open != json.Delim('[') {
		return false
	}
	lists := 0
	for in.More() {
		var s Scores
		if in.Decode(&s) != nil || s.Model == "" || s.Method == "" || len(s.Sites) == 0 {
			return false
		}
		lists++
	}
	_, err := in.Token()
	_, end := in.Token()
	return err == nil && end == io.EOF && lists > 0
}
