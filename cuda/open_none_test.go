//go:build !cuda

package cuda

import (
	"errors"
	"testing"
)

func TestOpenWithoutCUDA(t *testing.T) {
	if _, err := Open(0); !errors.Is(err, ErrNotBuilt) || Built {
		t.Errorf("error %v, want ErrNotBuilt", err)
	}
	if _, err := New(Options{}); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("New: error %v, want ErrNotBuilt", err)
	}
}
