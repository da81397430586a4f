package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/kernels"
)

// TestQuickGELU has models read the activation of CLIP's encoders, run it and write it.
// FFN inputs of these cases are around -2, where it differs from the other GELUs.
func TestQuickGELU(t *testing.T) {
	for _, name := range []string{"bert-gelu-new", "vit-gelu-new"} {
		t.Run(name, func(t *testing.T) {
			from := filepath.Join("testdata", name)
			g, other := readGolden(t, from), openModel(t, from)
			dir := changedModel(t, from, "hidden_act", `"quick_gelu"`)
			m := openModel(t, dir)
			if act := m.Config().Act; act != kernels.GELUQuick {
				t.Fatalf("activation %v, want %v", act, kernels.GELUQuick)
			}
			in, all := g.input(t, m.Config(), 0, len(g.Logits)), devices(t)
			want := logits(t, all[0], m, in)
			for _, d := range all[1:] {
				if s := share(logits(t, d, m, in), want); !(s <= logitTolerance) {
					t.Errorf("logits of %s differ by %.2g of the largest, want at most %.0e", d.Name(), s, logitTolerance)
				}
			}
			if s := share(logits(t, all[0], other, in), want); !(s > 100*logitTolerance) {
				t.Errorf("logits with another GELU differ by %.2g of the largest only", s)
			}
			savesActivation(t, m, dir)
		})
	}
}

// savesActivation checks that what m is saved as reads quick_gelu again.
func savesActivation(t *testing.T, m model.Model, from string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "saved")
	if err := model.Save(m, dir, from, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, model.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"hidden_act": "quick_gelu"`) {
		t.Errorf("%s was written as %s", model.ConfigFile, text)
	}
	if act := openModel(t, dir).Config().Act; act != kernels.GELUQuick {
		t.Errorf("saved with activation %v", act)
	}
}
