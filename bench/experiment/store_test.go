package experiment

import (
	"fmt"
	"os"
	"testing"
)

// TestStoredOtherKeys computes again what a file holds with other keys than this
// program writes, and takes what it has written itself.
func TestStoredOtherKeys(t *testing.T) {
	type pair struct{ A, B []int }
	s := &store{t.TempDir()}
	compute := func() (pair, error) { return pair{[]int{1}, nil}, nil }
	for _, result := range []string{`null`, `{}`, `{"A":[1]}`} {
		text := fmt.Sprintf(`{"seconds":1,"sha256":"%s","result":%s}`, sum([]byte(result)), result)
		if err := os.WriteFile(s.path(StepScore, "x"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, want := range []bool{false, true} {
			got, _, cached, err := stage(s, StepScore, "x", compute)
			if err != nil || cached != want || len(got.A) != 1 {
				t.Errorf("%s: %v, cached %v, %v", result, got, cached, err)
			}
		}
	}
}
