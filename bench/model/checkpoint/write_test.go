package checkpoint

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// constant is a Source of given values.
func constant(name string, dtype DType, shape []int, values ...float32) Source {
	return Source{Name: name, DType: dtype, Shape: shape, Float32: func(dst []float32) error {
		copy(dst, values)
		return nil
	}}
}

func TestRoundTrip(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var sources []Source
	want := map[string][]float32{}
	for name, shape := range map[string][]int{
		"scalar": nil, "empty": {0, 3}, "one": {1}, "odd": {3, 5, 7},
		"long":      {chunkBytes/2 + 1}, // more than one chunk in every type
		"a < \"b\"": {2}, "ü/–": {2},
	} {
		for _, dtype := range []DType{F64, F32, F16, BF16} {
			n, _ := elements(shape)
			values := make([]float32, n)
			for i := range values {
				values[i] = bfloat16ToFloat32(float32ToBFloat16(float32(rng.NormFloat64())))
				if dtype == F16 {
					values[i] = halfToFloat32(float32ToHalf(values[i]))
				}
			}
			want[name+string(dtype)] = values
			sources = append(sources, constant(name+string(dtype), dtype, shape, values...))
		}
	}
	path := filepath.Join(dir, SafetensorsFile)
	if err := Write(path, sources, map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	if data[0]%8 != 0 || data[8] != '{' {
		t.Errorf("header does not start at once or is not padded to 8 bytes: %q", data[:16])
	}
	if !bytes.HasPrefix(data[8:], []byte(`{"__metadata__":{"a":"b","format":"pt"},`)) {
		t.Errorf("metadata missing: %q", data[8:64])
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Names()) != len(want) {
		t.Errorf("%d tensors, want %d", len(c.Names()), len(want))
	}
	for name, values := range want {
		if got, err := c.ReadFloat32(name); err != nil || !slices.Equal(got, values) {
			t.Errorf("%q did not come back (%v)", name, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestWriteEqualsHuggingFace rewrites files of Hugging Face's writer and expects the same bytes.
func TestWriteEqualsHuggingFace(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/*/" + SafetensorsFile)
	if err != nil || len(dirs) == 0 {
		t.Fatal("no golden models", err)
	}
	for _, golden := range dirs {
		c, err := Open(filepath.Dir(golden))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var sources []Source
		for _, name := range c.Names() {
			info, _ := c.Tensor(name)
			sources = append(sources, Source{Name: name, DType: info.DType, Shape: info.Shape,
				Float32: func(dst []float32) error { return c.Float32(name, dst) }})
		}
		path := filepath.Join(t.TempDir(), SafetensorsFile)
		if err := Write(path, sources, nil); err != nil {
			t.Fatal(err)
		}
		want, _ := os.ReadFile(golden)
		if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
			t.Errorf("%s: written anew, %d bytes differ from the golden %d", golden, len(got), len(want))
		}
	}
}

// TestWriteRefuses checks each refusal, and that it leaves the file that was there.
func TestWriteRefuses(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	good := constant("good", F32, []int{1}, 1)
	for _, c := range []struct {
		name    string
		sources []Source
		want    []string
	}{
		{"infinite", []Source{good, constant("w", F32, []int{3}, 0, 1, inf)}, []string{`"w"`, "value 2 is +Inf"}},
		{"not a number", []Source{constant("w", F64, nil, nan)}, []string{`"w"`, "NaN"}},
		{"overflow of F16", []Source{constant("w", F16, []int{2}, 65519, 65520)}, []string{`"w"`, "value 1 is 65520", "F16"}},
		{"overflow of BF16", []Source{constant("w", BF16, []int{1}, math.MaxFloat32)}, []string{`"w"`, "BF16"}},
		{"duplicate", []Source{good, constant("good", F32, []int{1}, 2)}, []string{`"good"`, "twice"}},
		{"duplicate in another type", []Source{constant("a", F32, nil), good, constant("a", F16, nil)}, []string{`"a"`, "twice"}},
		{"reserved name", []Source{constant("__metadata__", F32, nil)}, []string{"__metadata__"}},
		{"broken name", []Source{constant("\xff", F32, nil)}, []string{"not a name"}},
		{"integer type", []Source{constant("w", I64, nil)}, []string{`"w"`, "I64"}},
		{"negative shape", []Source{constant("w", F32, []int{-1})}, []string{`"w"`, "[-1]"}},
		{"impossible shape", []Source{constant("w", F32, []int{math.MaxInt, 3})}, []string{`"w"`, "not possible"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, SafetensorsFile)
			if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
				t.Fatal(err)
			}
			wantError(t, Write(path, c.sources, nil), c.want...)
			checkUntouched(t, dir)
		})
	}
}

// checkUntouched expects a directory with nothing but the file as it was.
func checkUntouched(t *testing.T, dir string) {
	t.Helper()
	files, _ := os.ReadDir(dir)
	data, _ := os.ReadFile(filepath.Join(dir, SafetensorsFile))
	if len(files) != 1 || string(data) != "before" {
		t.Errorf("%d files, content %q", len(files), data)
	}
}

func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SafetensorsFile)
	if err := os.WriteFile(path, []byte("before"), 0o666); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, []Source{{Name: "w", DType: F32, Float32: func([]float32) error { return broken }}}, nil)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("error of the source became %v", err)
	}
	checkUntouched(t, dir)
	if err := Write(filepath.Join(dir, "absent", "w"), nil, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if err := Write(filepath.Join(dir, "."), nil, nil); err == nil {
		t.Error("writing over a directory succeeded")
	}
	checkUntouched(t, dir)
}

func TestWriteNothing(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, SafetensorsFile), nil, nil); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil || len(c.Names()) != 0 {
		t.Fatal(err)
	}
	c.Close()
}
