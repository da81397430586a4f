package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"testing"
)

// goldenTorch reads a file that PyTorch wrote.
func goldenTorch(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expectedArray is an array of variety.json.
type expectedArray struct {
	Shape   []int
	Float32 []byte
}

// TestTorchVariety reads every floating type, strides, offsets and shared storages, and compares with PyTorch.
func TestTorchVariety(t *testing.T) {
	entries, err := readTorch(inMemory(goldenTorch(t, "variety.bin")))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]expectedArray
	if err := json.Unmarshal(goldenTorch(t, "variety.json"), &expected); err != nil {
		t.Fatal(err)
	}
	c := &Checkpoint{path: "variety.bin", entries: entries}
	for name, want := range expected {
		got, err := c.ReadFloat32(name)
		if err != nil {
			t.Error(err)
			continue
		}
		values := make([]float32, len(want.Float32)/4)
		if err := decode(values, want.Float32, F32); err != nil {
			t.Fatal(err)
		}
		if info, _ := c.Tensor(name); !slices.Equal(info.Shape, want.Shape) || !slices.Equal(got, values) {
			t.Errorf("%s = %v %v, want %v %v", name, info.Shape, got, want.Shape, values)
		}
	}
	for name, dtype := range map[string]DType{"bert.embeddings.position_ids": I64, "flags": Bool, "bytes": U8} {
		if info, ok := c.Tensor(name); !ok || info.DType != dtype {
			t.Errorf("%s = %+v", name, info)
		}
		_, err := c.ReadFloat32(name)
		wantError(t, err, name, string(dtype), "not a floating type")
	}
	if want := len(expected) + 3; len(c.Names()) != want {
		t.Errorf("%d tensors, want %d: %q", len(c.Names()), want, c.Names())
	}
}

// TestTorchWithoutChecksums reads a file saved under torch.serialization.set_crc32_options(False).
func TestTorchWithoutChecksums(t *testing.T) {
	entries, err := readTorch(inMemory(goldenTorch(t, "unchecked.bin")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := (&Checkpoint{entries: entries}).ReadFloat32("w")
	if err != nil || !slices.Equal(got, []float32{0, 1, 2}) {
		t.Errorf("w = %v, %v", got, err)
	}
}

func TestTorchRefuses(t *testing.T) {
	for name, want := range map[string][]string{
		"legacy.bin":  {"before version 1.6", "torch.save(torch.load"},
		"nested.bin":  {"keys there: model", "not a Hugging Face state dict"},
		"program.bin": {`"posix.system"`, "refused"},
	} {
		_, err := readTorch(inMemory(goldenTorch(t, name)))
		wantError(t, err, want...)
	}
}

// TestTorchFlips damages every byte in turn: an error or an honest reading, never a panic; and the checksums keep any
// tensor that fills its storage from being read with other values.
func TestTorchFlips(t *testing.T) {
	valid := goldenTorch(t, "variety.bin")
	original, err := readTorch(inMemory(valid))
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string][]float32{}
	for _, name := range []string{"plain", "transposed", "permuted", "half", "bfloat", "double", "scalar"} {
		whole[name], err = (&Checkpoint{entries: original}).ReadFloat32(name)
		if err != nil || original[name].at.crc == nil {
			t.Fatalf("%s has no checksum (%v)", name, err)
		}
	}
	for i := range valid {
		data := slices.Clone(valid)
		data[i] ^= 1 << (i % 8)
		entries, err := readTorch(inMemory(data))
		if err != nil {
			if format := (*FormatError)(nil); !errors.As(err, &format) {
				t.Fatalf("byte %d: %v is no FormatError", i, err)
			}
			continue
		}
		readAll(t, entries)
		for name, want := range whole {
			got, err := (&Checkpoint{entries: entries}).ReadFloat32(name)
			if err == nil && !slices.Equal(got, want) {
				t.Errorf("byte %d: %s is %v, was %v", i, name, got, want)
			}
		}
	}
	for _, n := range []int{1, 2, 100, len(valid) / 2, len(valid) - 1} {
		_, err := readTorch(inMemory(valid[:n]))
		wantError(t, err, "not a readable PyTorch file", "download it again")
	}
}

// TestTorchChecksum flips a bit of a value.
func TestTorchChecksum(t *testing.T) {
	data := torchZip(t, tensorPickle(4, 0, []int{4}, []int{1}), le32(1, 2, 3, 4))
	at := bytes.Index(data, le32(3))
	data[at] ^= 1
	entries, err := readTorch(inMemory(data))
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&Checkpoint{entries: entries}).ReadFloat32("w")
	wantError(t, err, `"w"`, "checksum", "download it again")
}

// TestTorchLies gives descriptions that contradict the storage of four floats.
func TestTorchLies(t *testing.T) {
	const huge = math.MaxInt32
	for _, c := range []struct {
		name          string
		count, offset int
		shape, stride []int
		storage       []byte
		want          string
	}{
		{"storage too small", 5, 0, []int{5}, []int{1}, le32(1, 2, 3, 4), "contradict the 16 bytes"},
		{"storage too large", 3, 0, []int{3}, []int{1}, le32(1, 2, 3, 4), "contradict the 16 bytes"},
		{"storage missing", 4, 0, []int{4}, []int{1}, nil, "data/0 are missing"},
		{"offset outside", 4, 5, []int{1}, []int{1}, le32(1, 2, 3, 4), "reach outside the 4 elements"},
		{"shape outside", 4, 0, []int{5}, []int{1}, le32(1, 2, 3, 4), "reach outside"},
		{"offset and shape outside", 4, 2, []int{3}, []int{1}, le32(1, 2, 3, 4), "reach outside"},
		{"stride outside", 4, 0, []int{2, 2}, []int{1, 4}, le32(1, 2, 3, 4), "reach outside"},
		{"stride overflows", 4, 0, []int{huge, 3}, []int{huge, huge}, le32(1, 2, 3, 4), "more values than the file has bytes"},
		{"long stride", 4, 0, []int{3}, []int{huge}, le32(1, 2, 3, 4), "reach outside"},
		{"expanded without end", 4, 0, []int{huge, huge}, []int{0, 0}, le32(1, 2, 3, 4), "more values than the file has bytes"},
		{"count overflows", 4, 0, []int{huge, huge, huge}, []int{0, 0, 0}, le32(1, 2, 3, 4), "more values than the file has bytes"},
		{"ranks differ", 4, 0, []int{2, 2}, []int{1}, le32(1, 2, 3, 4), "2 dimensions with 1 strides"},
		{"negative shape", 4, 0, []int{-1}, []int{1}, le32(1, 2, 3, 4), "from 0 up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readTorch(inMemory(torchZip(t, tensorPickle(c.count, c.offset, c.shape, c.stride), c.storage)))
			wantError(t, err, c.want)
		})
	}
}

func TestTorchArchive(t *testing.T) {
	program := tensorPickle(1, 0, []int{1}, []int{1})
	for _, c := range []struct {
		name  string
		parts [][2]string // name, content
		want  string
	}{
		{"no pickle", [][2]string{{"m/data/0", "1234"}}, "no data.pkl"},
		{"big-endian", [][2]string{{"m/data.pkl", string(program)}, {"m/byteorder", "big"}, {"m/data/0", "1234"}}, "little-endian"},
		{"twice", [][2]string{{"m/data.pkl", string(program)}, {"m/data/0", "1234"}, {"m/data/0", "1234"}}, "twice"},
		{"not a dictionary", [][2]string{{"m/data.pkl", "\x80\x02K\x01."}}, "no dictionary"},
		{"newer protocol", [][2]string{{"m/data.pkl", "\x80\x04."}}, "protocol 4"},
		{"broken pickle", [][2]string{{"m/data.pkl", "\x80\x02}"}}, "ends too early"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for _, part := range c.parts {
				w, _ := z.CreateHeader(&zip.FileHeader{Name: part[0], Method: zip.Store})
				w.Write([]byte(part[1]))
			}
			z.Close()
			_, err := readTorch(inMemory(b.Bytes()))
			wantError(t, err, c.want)
		})
	}
	t.Run("compressed", func(t *testing.T) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range map[string]string{"m/data.pkl": string(program), "m/data/0": "1234"} {
			w, _ := z.Create(name)
			w.Write([]byte(content))
		}
		z.Close()
		_, err := readTorch(inMemory(b.Bytes()))
		wantError(t, err, `"w"`, "compressed")
	})
}

// torchZip builds a PyTorch file with one storage; a nil storage is left out.
func torchZip(t testing.TB, program, values []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, part := range []struct {
		name string
		data []byte
	}{{"m/data.pkl", program}, {"m/data/0", values}} {
		if part.data == nil {
			continue
		}
		size := uint64(len(part.data))
		w, err := z.CreateRaw(&zip.FileHeader{Name: part.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(part.data),
			CompressedSize64: size, UncompressedSize64: size})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(part.data)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// le32 encodes values as F32.
func le32(values ...float32) []byte {
	b := make([]byte, 4*len(values))
	encode(b, values, F32)
	return b
}
