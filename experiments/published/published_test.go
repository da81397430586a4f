package published

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestOf reads the files, with one figure of each kind that they hold.
func TestOf(t *testing.T) {
	var value, drop int
	for _, f := range Of("sst2") {
		switch {
		case f.Method == "OPTIN" && f.Value != nil && *f.Value == 92.24 && *f.Keep == 0.6 && f.Within == 0:
			value++
		case f.Method == "PTF" && f.Drop != nil && *f.Keep == 0.5 && *f.Drop == 3.43 && f.Within == 0.05:
			drop++
		}
		if f.Source == "" {
			t.Errorf("%+v has no source", f)
		}
	}
	if value != 1 || drop != 1 {
		t.Errorf("%d values, %d drops", value, drop)
	}
	if n := len(Of("mnli")); n != 6 {
		t.Errorf("%d figures of mnli, want 1 value and 5 drops", n)
	}
	if n := len(Of("wordnet")); n != 0 {
		t.Errorf("%d figures of a task that nobody published", n)
	}
}

func TestDamaged(t *testing.T) {
	const figure = "source = 's'\n[[figure]]\nmethod = 'M'\nmodel = 'B'\ntask = 't'\n"
	for _, c := range []struct{ text, want string }{
		{"source = 's'\n[[figures]]\n", "unknown key figures"},
		{"[[figure]]\n", "source is missing"},
		{figure + "keep = 0.5\n", "value and drop are missing"},
		{figure + "keep = 0.5\nvalue = 90\nmissing = true\n", "missing is true beside"},
		{figure + "value = 90\n", "keep and setting are missing"},
		{figure + "keep = 50\nvalue = 90\n", "keep is 50"},
		{figure + "keep = 0.5\nvalue = -1\n", "value is -1"},
		{"source = 's'\n[[figure]]\nvalue = 90\n", "figure 1: method, model or task is missing"},
		{"source = ", "f.toml"},
	} {
		_, err := read(fstest.MapFS{"f.toml": {Data: []byte(c.text)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if all, err := read(fstest.MapFS{"f.toml": {Data: []byte(figure + "keep = 0.5\nvalue = 90\n")}}); err != nil || len(all) != 1 || all[0].Source != "s" {
		t.Errorf("%+v %v", all, err)
	}
}
