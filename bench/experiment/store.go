package experiment

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"optin/bench/disk"
)

// store keeps the results of stages in a folder, each under the hash of all
// that it depends on. A run that is killed finds there what it had finished.
type store struct{ dir string }

func openStore(output, stages string) (*store, error) {
	if err := disk.MakeFolder(output); err != nil {
		return nil, fmt.Errorf("results folder (key output): %w", err)
	}
	name := "folder of stages (key stages)"
	if filepath.Dir(stages) == filepath.Clean(output) {
		name = "results folder (key output)" // all that the user has named
	}
	if err := disk.MakeFolder(stages); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &store{stages}, nil
}

// stored is a stage's result on disk.
type stored struct {
	Seconds float64         `json:"seconds"`
	Sum     string          `json:"sha256"` // of Result
	Result  json.RawMessage `json:"result"`
}

// sum is what shows that a stored result was damaged.
func sum(raw []byte) string { return fmt.Sprintf("%x", sha256.Sum256(raw)) }

// stage returns the result stored for a step, or computes and stores it.
// seconds is what computing took, whenever that was.
func stage[T any](s *store, step Step, hash string, compute func() (T, error)) (result T, seconds float64, cached bool, err error) {
	if result, seconds, cached, err = known[T](s, step, hash); cached || err != nil {
		return result, seconds, cached, err
	}
	begin := time.Now()
	if result, err = compute(); err != nil {
		return result, 0, false, err
	}
	seconds = time.Since(begin).Seconds()
	return result, seconds, false, save(s, step, hash, result, seconds)
}

// save stores the result of a step, which took some seconds.
func save[T any](s *store, step Step, hash string, result T, seconds float64) error {
	raw, err := json.Marshal(result)
	if _, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		return errors.New("a result is not a finite number: the model's values overflow on these examples; check its weights, and the keys of [score] that multiply or divide: lambda, tau, the weights")
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(stored{seconds, sum(raw), raw})
	if err != nil {
		return err
	}
	return disk.WriteFile(s.path(step, hash), text)
}

func (s *store) path(step Step, hash string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%s.json", step, hash))
}

// known returns the result stored for a step, if there is one.
func known[T any](s *store, step Step, hash string) (result T, seconds float64, found bool, err error) {
	text, err := os.ReadFile(s.path(step, hash))
	if errors.Is(err, os.ErrNotExist) {
		return result, 0, false, nil
	}
	if err != nil {
		return result, 0, false, fmt.Errorf("stored result: %w", err)
	}
	var old stored
	var whole T
	// A damaged file is as good as none: it is computed again and replaced. So is
	// one that this program would write with other keys, which may lack some.
	if json.Unmarshal(text, &old) != nil || old.Sum != sum(old.Result) || json.Unmarshal(old.Result, &whole) != nil {
		return result, 0, false, nil
	}
	if again, err := json.Marshal(whole); err != nil || !bytes.Equal(again, old.Result) {
		return result, 0, false, nil
	}
	return whole, old.Seconds, true, nil
}
