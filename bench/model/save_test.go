package model

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestSaveKeepsOldModel fails to write weights over a model: the old one stays,
// with its config.json.
func TestSaveKeepsOldModel(t *testing.T) {
	from := filepath.Join("testdata", "bert-basic")
	m, closeModel, err := Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer closeModel()
	dir := t.TempDir()
	if err := Save(m, dir, from, nil); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	var broken []*Param
	for _, name := range m.Params().Names() {
		p := *m.Params().Get(name)
		p.Read = func([]float32) error { return errors.ErrUnsupported }
		broken = append(broken, &p)
	}
	bad, err := New(m.Config(), NewParams(from, broken...))
	if err != nil {
		t.Fatal(err)
	}
	if err := Save(bad, dir, from, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("error %v, want that of the weights", err)
	}
	after := contents(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d files are left of %d", len(after), len(before))
	}
	for name, text := range before {
		if after[name] != text {
			t.Errorf("%s is gone or another one", name)
		}
	}
}

// contents are the files of a folder by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}
