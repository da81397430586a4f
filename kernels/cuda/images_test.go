package cuda

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func folder(names ...string) fstest.MapFS {
	files := fstest.MapFS{".gitignore": {}, "sources.sha256": {Data: []byte("x")}}
	for _, name := range names {
		files[name] = &fstest.MapFile{Data: []byte("code of " + name)}
	}
	return files
}

func TestSelect(t *testing.T) {
	all := folder("norm.sm_80.cubin", "norm.sm_90.cubin", "norm.compute_90.ptx", "loss.sm_80.cubin", "loss.sm_90.cubin", "loss.compute_90.ptx")
	for _, c := range []struct {
		capability int
		want       string // for norm
	}{
		{80, "norm.sm_80.cubin"},
		{86, "norm.sm_80.cubin"}, // same generation
		{90, "norm.sm_90.cubin"},
		{100, "norm.compute_90.ptx"},
	} {
		list, err := Select(all, c.capability)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 2 || !strings.HasPrefix(list[0].Name, "loss.") || list[1].Name != c.want {
			t.Errorf("capability %d: %d images, the last %q, want 2, the last %q", c.capability, len(list), list[len(list)-1].Name, c.want)
		}
		if string(list[1].Code) != "code of "+c.want {
			t.Errorf("capability %d: code %q", c.capability, list[1].Code)
		}
	}
}

func TestSelectNothing(t *testing.T) {
	if _, err := Select(folder(), 80); !errors.Is(err, ErrNoImages) {
		t.Errorf("an empty folder: error %v", err)
	}
	_, err := Select(folder("norm.sm_80.cubin", "norm.compute_90.ptx"), 75)
	if err == nil || !strings.Contains(err.Error(), "norm") || !strings.Contains(err.Error(), "7.5") {
		t.Errorf("an old chip: error %v", err)
	}
}

func TestParse(t *testing.T) {
	for _, name := range []string{"sources.sha256", "norm.cu", "norm.sm_x.cubin", "norm.sm_80.ptx", "norm.compute_80.cubin", "a.b.c.d"} {
		if _, _, ok := parse(name); ok {
			t.Errorf("%q counts as compiled kernels", name)
		}
	}
}

// TestKernels reads the names of kernels as machine code and code for the driver have them.
func TestKernels(t *testing.T) {
	for _, code := range []string{
		"\x7fELF\x00.text.optin_add_f32\x00.rel.text.optin_add_f32\x00.nv.info.optin_add_f32\x00.text.optin_mul_f32\x00optin_table\x00",
		".version 8.4\n.visible .entry optin_add_f32(\n.param .u64 a)\n.weak .entry optin_mul_f32 (\n.func optin_inner(",
	} {
		names := Image{Code: []byte(code)}.Kernels()
		slices.Sort(names)
		if !slices.Equal(names, []string{"optin_add_f32", "optin_mul_f32"}) {
			t.Errorf("kernels %q in %q", names, code)
		}
	}
}
