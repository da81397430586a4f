package task

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseIDX(t *testing.T) {
	good := idxFile([]int{2, 1, 3}, []byte{1, 2, 3, 4, 5, 6})
	for name, file := range map[string]string{"plain": good, "gzip": gzipped(good)} {
		a, err := parseIDX(strings.NewReader(file), 3)
		if err != nil || a.dims[0] != 2 || a.dims[2] != 3 || !bytes.Equal(a.data, []byte{1, 2, 3, 4, 5, 6}) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	packed := gzipped(good)
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "no header"},
		{"text", "hello", "not an IDX file of bytes"},
		{"floats", "\x00\x00\x0d\x03", "not an IDX file of bytes"},
		{"labels", idxFile([]int{2}, []byte{1, 2}), "1 dimensions, want 3"},
		{"header", good[:9], "within its header"},
		{"cut", good[:len(good)-1], "5 values of 6"},
		{"lying", idxFile([]int{70000, 28, 28}, nil), "0 values of 54880000"},
		{"huge", idxFile([]int{1 << 31, 1 << 31, 9}, nil), "dimension 2"},
		{"zero", idxFile([]int{0, 1, 1}, nil), "dimension 1 of the IDX file is 0"},
		{"gzip head", packed[:5], "gzip"},
		{"gzip cut", packed[:len(packed)-9], "unexpected EOF"},
		{"gzip of more", gzipped(good + "7"), "more than the 6 values"},
		{"gzip sum", packed[:len(packed)-5] + "\x00" + packed[len(packed)-4:], "invalid checksum"},
	} {
		_, err := parseIDX(strings.NewReader(test.file), 3)
		t.Run("case="+test.name, func(t *testing.T) { wantError(t, err, test.want) })
	}
}

func FuzzIDX(f *testing.F) {
	good := idxFile([]int{2, 1, 3}, []byte{1, 2, 3, 4, 5, 6})
	f.Add([]byte(good), 3)
	f.Add([]byte(gzipped(good)), 3)
	f.Add([]byte(idxFile([]int{1 << 31, 1}, nil)), 2)
	f.Fuzz(func(t *testing.T, b []byte, dims int) {
		a, err := parseIDX(bytes.NewReader(b), 1+int(uint(dims)%4))
		if err != nil {
			return
		}
		size := 1
		for _, d := range a.dims {
			size *= d
		}
		if size != len(a.data) {
			t.Fatalf("dimensions %v, %d values", a.dims, len(a.data))
		}
	})
}

// TestFashion reads a small set in the layout of the real one.
func TestFashion(t *testing.T) {
	pixels := make([]byte, 3*4)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	files := map[string]string{
		"train-images-idx3-ubyte.gz": gzipped(idxFile([]int{5002, 1, 1}, make([]byte, 5002))),
		"train-labels-idx1-ubyte.gz": gzipped(idxFile([]int{5002}, append(make([]byte, 5001), 9))),
		"t10k-images-idx3-ubyte":     idxFile([]int{3, 2, 2}, pixels),
		"t10k-labels-idx1-ubyte":     idxFile([]int{3}, []byte{0, 9, 5}),
	}
	task := open(t, Config{Name: "fashion-mnist", Path: writeFiles(t, files)})
	if n := load(t, task, Train).Len(); n != 2 {
		t.Errorf("%d examples to train, want all but the last 5,000", n)
	}
	dev := load(t, task, Dev)
	if last, _ := dev.Example(dev.Len() - 1); dev.Len() != 5000 || last.Label != 9 {
		t.Errorf("dev has %d, the last with label %d; want the last 5,000", dev.Len(), last.Label)
	}
	test := all(t, load(t, task, Test))
	if len(test) != 3 || test[1].Label != 9 || test[1].Image.Pix[0] != 4 || test[1].Image.Width != 2 || test[1].Image.Channels != 1 {
		t.Errorf("test is %+v", test)
	}

	files["t10k-labels-idx1-ubyte"] = idxFile([]int{2}, []byte{0, 9})
	_, err := open(t, Config{Name: "fashion-mnist", Path: writeFiles(t, files)}).Load(Test)
	wantError(t, err, "3 images but 2 labels")
	files["t10k-labels-idx1-ubyte"] = idxFile([]int{3}, []byte{0, 10, 1})
	_, err = open(t, Config{Name: "fashion-mnist", Path: writeFiles(t, files)}).Load(Test)
	wantError(t, err, "label 1", "is 10, want 0 to 9")
	_, err = open(t, Config{Name: "fashion-mnist", Path: "/nowhere"}).Load(Test)
	wantError(t, err, "Fashion-MNIST is not at /nowhere/t10k-images-idx3-ubyte.gz", "install the Debian package dataset-fashion-mnist")
}
