package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/kernels"
)

// TestResume trains six steps at once, and three and three with a checkpoint
// between, to the same bits; every random choice is switched on.
func TestResume(t *testing.T) {
	ctx := context.Background()
	facts := map[string]string{"seed": "7"}
	for device, dev := range devices(t) {
		for name, change := range map[string]func(*Settings){
			"bert-basic": func(s *Settings) { s.Mask, s.MaskWeight = 0.3, 0.3 },
			"deit-basic": func(s *Settings) { s.Mixup, s.Crop, s.Flip, s.Tokens, s.Optimizer = 0.3, 1, true, 6, Muon },
		} {
			t.Run(device+"/"+name, func(t *testing.T) {
				s := quick(change)
				whole := trainer(t, dev, name, 40, s, nil)
				points := advance(t, whole, 6)
				path := filepath.Join(t.TempDir(), "checkpoint")
				half := trainer(t, dev, name, 40, s, nil)
				advance(t, half, 3)
				if err := half.Save(ctx, path, facts, []byte("mine")); err != nil {
					t.Fatal(err)
				}
				rest := trainer(t, dev, name, 40, s, nil)
				if mine, note, err := rest.Resume(ctx, path, facts); err != nil || note != "" || string(mine) != "mine" || rest.Done() != 3 {
					t.Fatalf("%q %q %v, step %d", mine, note, err, rest.Done())
				}
				for i, p := range advance(t, rest, 3) {
					if p != points[3+i] {
						t.Errorf("step %d: %+v, without a stop %+v", p.Step, p, points[3+i])
					}
				}
				same(t, "resumed", whole, rest)
			})
		}
	}
}

// TestSaveDiverged keeps the checkpoint that is there where the parameters are no
// numbers any more.
func TestSaveDiverged(t *testing.T) {
	ctx := context.Background()
	s := quick(func(s *Settings) { s.Rate, s.Warmup, s.Clip = 1e30, 0, 0; s.Decay = 1e30 })
	tr := trainer(t, reference(t, 1), "bert-basic", 12, s, nil)
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := tr.Save(ctx, path, nil, nil); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	advance(t, tr, 1)
	err := tr.Save(ctx, path, nil, nil)
	if d, ok := errors.AsType[*Diverged](err); !ok || d.Step != 1 || !strings.Contains(err.Error(), "step 1: a value of the parameters is") {
		t.Errorf("error %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the checkpoint was replaced")
	}
}

// elsewhere is a device with another description.
type elsewhere struct{ kernels.Device }

func (elsewhere) Describe() string { return "another chip" }

// TestResumeRefuses checks what is said of checkpoints that are damaged, missing
// or of another training.
func TestResumeRefuses(t *testing.T) {
	ctx := context.Background()
	dev := reference(t, 1)
	facts := map[string]string{"train.rate": "0.1", "seed": "1"}
	tr := trainer(t, dev, "bert-basic", 12, quick(nil), nil)
	path := filepath.Join(t.TempDir(), "checkpoint")
	if _, _, err := tr.Resume(ctx, path, facts); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	advance(t, tr, 1)
	if err := tr.Save(ctx, path, facts, nil); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte(nil), good...)
	flipped[len(good)/2] ^= 1
	body := append([]byte(nil), good[:len(good)-sha256.Size-100]...) // too short, under a sum of its own
	sum := sha256.Sum256(body)
	for name, damaged := range map[string][]byte{"short": append(body, sum[:]...), "cut": good[:len(good)-1], "empty": nil, "foreign": []byte(strings.Repeat("x", 100)), "flipped": flipped} {
		if err := os.WriteFile(path, damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tr.Resume(ctx, path, facts); err == nil || !strings.Contains(err.Error(), path+" is damaged, or no checkpoint of a training: remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := tr.Resume(ctx, t.TempDir(), facts); err == nil || !strings.Contains(err.Error(), "is a directory") || strings.Contains(err.Error(), "remove it") {
		t.Errorf("a folder: %v", err)
	}
	if err := os.WriteFile(path, good, 0o666); err != nil {
		t.Fatal(err)
	}
	_, _, err = tr.Resume(ctx, path, map[string]string{"train.rate": "0.2", "seed": "1"})
	if err == nil || !strings.Contains(err.Error(), `its train.rate is "0.1", this one's "0.2"; take back the change`) {
		t.Errorf("other settings: %v", err)
	}
	other := trainer(t, dev, "bert-odd", 12, quick(nil), nil)
	if _, _, err := other.Resume(ctx, path, facts); err == nil || !strings.Contains(err.Error(), "its model has other parameters") {
		t.Errorf("another model: %v", err)
	}
	there := trainer(t, elsewhere{dev}, "bert-basic", 12, quick(nil), nil)
	if _, note, err := there.Resume(ctx, path, facts); err != nil || !strings.Contains(note, "another chip") {
		t.Errorf("another device: %q %v", note, err)
	}
	if err := tr.Save(ctx, filepath.Join(t.TempDir(), "absent", "checkpoint"), facts, nil); err == nil || !strings.Contains(err.Error(), "cannot write") {
		t.Errorf("no folder: %v", err)
	}
}
