package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// safetensorsBytes puts a header in front of values.
func safetensorsBytes(header string, values ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), values...)
}

// inMemory is a weight file that needs no disk.
func inMemory(data []byte) *weightFile {
	return &weightFile{path: "model.safetensors", size: int64(len(data)), ReaderAt: bytes.NewReader(data), Closer: io.NopCloser(nil)}
}

// wantError checks that err is a FormatError that speaks of everything in want.
func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	var format *FormatError
	if !errors.As(err, &format) {
		t.Fatalf("got %v, want a FormatError with %q", err, want)
	}
	for _, w := range append(want, format.File) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 1200 {
		t.Errorf("error is not one short line: %q", err)
	}
}

const validHeader = `{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]}}`

func validSafetensors() []byte {
	return safetensorsBytes(validHeader, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0x3c, 1, 0)
}

func TestReadSafetensors(t *testing.T) {
	entries, err := readSafetensors(inMemory(validSafetensors()))
	if err != nil {
		t.Fatal(err)
	}
	c := &Checkpoint{path: "model.safetensors", entries: entries}
	if got := c.Names(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	b, ok := c.Tensor("b")
	if !ok || b.Name != "b" || b.DType != F16 || !slices.Equal(b.Shape, []int{1, 2}) || b.File != "model.safetensors" || b.Len() != 2 {
		t.Errorf("tensor b = %+v, %v", b, ok)
	}
	for name, want := range map[string][]float32{"a": {1, -2}, "b": {1, 0x1p-24}} {
		if got, err := c.ReadFloat32(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
	}
	_, err = c.ReadFloat32("c")
	wantError(t, err, `"c"`, "no such tensor")
	wantError(t, c.Float32("a", make([]float32, 3)), `"a"`, "[2]", "want 3")
	if _, ok := c.Tensor("c"); ok {
		t.Error("tensor c found")
	}
}

// TestDamagedSafetensors changes one thing of a valid file at a time.
func TestDamagedSafetensors(t *testing.T) {
	replace := func(old, new string) []byte {
		header := strings.Replace(validHeader, old, new, 1)
		if header == validHeader {
			t.Fatalf("%q is not in the header", old)
		}
		return safetensorsBytes(header, make([]byte, 12)...)
	}
	length := func(n uint64) []byte {
		b := validSafetensors()
		binary.LittleEndian.PutUint64(b, n)
		return b
	}
	valid := validSafetensors()
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"seven bytes", valid[:7], []string{"too few"}},
		{"header length 2^63", length(1 << 63), []string{"claims 9223372036854775808 bytes"}},
		{"header length above the limit", length(maxHeaderBytes + 1), []string{"limit of 100000000"}},
		{"header longer than file", length(uint64(len(valid)) - 7), []string{"but only"}},
		{"header length short", length(20), []string{"ends too early"}},
		{"header length zero", length(0), []string{"ends too early"}},
		{"header takes values", length(uint64(len(validHeader)) + 4), []string{"header is not valid"}},
		{"not JSON", replace(`{"__m`, `<"__m`), []string{"invalid character"}},
		{"not an object", safetensorsBytes(`[]`), []string{`"{" is expected`}},
		{"not UTF-8", replace(`"a"`, "\"\xff\""), []string{"UTF-8"}},
		{"metadata not text", replace(`"pt"`, `3`), []string{"string is expected"}},
		{"duplicate name", replace(`"b"`, `"a"`), []string{`"a" appears twice`}},
		{"duplicate key", replace(`"shape":[2]`, `"shape":[2],"shape":[2]`), []string{`"shape" appears twice`}},
		{"unknown type", replace(`"F32"`, `"F31"`), []string{`"a"`, `unknown type "F31"`, "BF16"}},
		{"type not text", replace(`"F32"`, `32`), []string{`"a"`, "dtype: 32"}},
		{"no type", replace(`"dtype":"F32",`, ``), []string{`"a"`, "no dtype"}},
		{"no shape", replace(`"shape":[2],`, ``), []string{`"a"`, "no shape"}},
		{"no offsets", replace(`,"data_offsets":[0,8]`, ``), []string{`"a"`, "no data_offsets"}},
		{"tensor not an object", replace(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`, `1`), []string{`"a"`}},
		{"negative shape", replace(`[2]`, `[-2]`), []string{`"a"`, "-2 is not a size"}},
		{"fractional shape", replace(`[2]`, `[2.0]`), []string{`"a"`, "2.0 is not a size"}},
		{"nested shape", replace(`[2]`, `[[2]]`), []string{`"a"`, "number is expected"}},
		{"shape too large for a word", replace(`[2]`, `[18446744073709551618]`), []string{`"a"`, "is not a size"}},
		{"shape product overflows", replace(`[2]`, `[4294967296,4294967296,4]`), []string{`"a"`, "more elements"}},
		{"shape bytes overflow", replace(`[2]`, `[4611686018427387906]`), []string{`"a"`, "contradicts"}},
		{"shape contradicts size", replace(`[2]`, `[3]`), []string{`"a"`, "[3] of F32 contradicts the 8 bytes"}},
		{"type contradicts size", replace(`F16`, `F32`), []string{`"b"`, "contradicts the 4 bytes"}},
		{"one offset", replace(`[0,8]`, `[8]`), []string{`"a"`, "[begin, end]"}},
		{"offsets reversed", replace(`[0,8]`, `[8,0]`), []string{`"a"`, "[begin, end]"}},
		{"negative offset", replace(`[0,8]`, `[-8,0]`), []string{`"a"`, "-8 is not a size"}},
		{"end out of range", replace(`[8,12]`, `[12,16]`), []string{`"b"`, "ends at byte 16", "holds 12"}},
		{"overlap", replace(`[8,12]`, `[6,10]`), []string{`"b"`, "inside another tensor"}},
		{"hole", replace(`"shape":[1,2],"data_offsets":[8,12]`, `"shape":[1,1],"data_offsets":[10,12]`), []string{`"b"`, "hole after byte 8"}},
		{"unused tail", replace(`"shape":[1,2],"data_offsets":[8,12]`, `"shape":[1,1],"data_offsets":[8,10]`), []string{"2 bytes follow"}},
		{"trailing byte", append(slices.Clone(valid), 0), []string{"1 bytes follow"}},
		{"truncated values", valid[:len(valid)-1], []string{`"b"`, "ends at byte 12", "holds 11"}},
		{"text after header", safetensorsBytes(`{}x`), []string{"after the closing brace"}},
		{"second object", safetensorsBytes(`{}{}`), []string{"after the closing brace"}},
		{"deeply nested", safetensorsBytes(`{"a":` + strings.Repeat("[", 1<<16)), []string{`"a"`}},
		{"endless name", safetensorsBytes(`{"` + strings.Repeat("n", 1<<16) + `":{}}`), []string{"nnn..."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readSafetensors(inMemory(c.data))
			wantError(t, err, append(c.want, "download it again")...)
		})
	}
}

// TestHeaderFlips changes every bit of every header byte: an error or a valid reading, never a panic.
func TestHeaderFlips(t *testing.T) {
	valid := validSafetensors()
	for i := range len(valid) - 12 {
		for value := range 256 {
			data := slices.Clone(valid)
			data[i] = byte(value)
			entries, err := readSafetensors(inMemory(data))
			if err != nil {
				var format *FormatError
				if !errors.As(err, &format) {
					t.Fatalf("byte %d = %#02x: %v is no FormatError", i, value, err)
				}
				continue
			}
			readAll(t, entries)
		}
	}
}

// readAll reads every float tensor.
func readAll(t *testing.T, entries map[string]entry) {
	c := &Checkpoint{entries: entries}
	for _, name := range c.Names() {
		info, _ := c.Tensor(name)
		if values, err := c.ReadFloat32(name); err == nil && len(values) != info.Len() {
			t.Fatalf("%q: %d values for shape %v", name, len(values), info.Shape)
		}
	}
}

// TestPlaceholders opens what failed downloads leave behind.
func TestPlaceholders(t *testing.T) {
	for content, want := range map[string]string{
		"": "empty",
		"version https://git-lfs.example/spec/v1\noid sha256:00\nsize 4\n": "git lfs pull",
		"<!DOCTYPE html><html>Not found</html>":                            "web page",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, SafetensorsFile), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantError(t, err, want)
	}
}

func TestOpenNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "no weights here: need model.safetensors") {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "absent")); err == nil || !strings.Contains(err.Error(), "model directory") {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, SafetensorsFile), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory in place of a file: %v", err)
	}
}

// TestFileShrinks cuts a file after it was opened.
func TestFileShrinks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SafetensorsFile)
	if err := os.WriteFile(path, validSafetensors(), 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	_, err = c.ReadFloat32("a")
	wantError(t, err, `"a"`, "ends inside its values")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadFloat32("a"); err == nil {
		t.Error("reading after Close succeeded")
	}
}

// FuzzSafetensors looks for inputs that panic or that read as something else than they say.
func FuzzSafetensors(f *testing.F) {
	f.Add(validSafetensors())
	f.Add(safetensorsBytes(`{}`))
	f.Add(safetensorsBytes(`{"a":{"dtype":"I64","shape":[0,9223372036854775807],"data_offsets":[0,0]}}  `))
	f.Add(safetensorsBytes(`{"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2],"x":{"y":[null]}}}`, 1, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries, err := readSafetensors(inMemory(data)); err == nil {
			readAll(t, entries)
		}
	})
}
