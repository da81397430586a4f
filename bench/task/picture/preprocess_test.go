package picture

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	deit := `{"do_center_crop": true, "crop_size": 224, "do_resize": true, "size": 256, "resample": 3,
		"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "feature_extractor_type": "DeiTFeatureExtractor"}`
	c, err := parseConfig([]byte(deit))
	if err != nil {
		t.Fatal(err)
	}
	if c.Size != (Size{Height: 256, Width: 256}) || c.Resample != Bicubic || !c.CentreCrop || !c.Rescale || c.Factor != 1.0/255 {
		t.Errorf("DeiT's file gives %+v", c)
	}
	for _, test := range []struct{ name, json, want string }{
		{"defaults", `{}`, ""},
		{"nulls", `{"size": null, "crop_size": null, "image_mean": null, "do_resize": null}`, ""},
		{"edge", `{"size": {"shortest_edge": 256}}`, ""},
		{"no size", `{"size": {}}`, "size: 0 x 0"},
		{"longest", `{"size": {"longest_edge": 9}}`, "longest_edge is not supported"},
		{"negative", `{"size": -3}`, "size: -3 x -3"},
		{"filter", `{"resample": 9}`, "resample 9"},
		{"mean", `{"image_mean": [0, 0, 0]}`, "image_mean has 3 values and image_std 1"},
		{"std", `{"image_std": [0]}`, "image_std[0] is 0"},
		{"crop", `{"do_center_crop": true, "crop_size": {"shortest_edge": 3}}`, "crop_size"},
		{"word", `{"size": "big"}`, "a size is a number"},
	} {
		t.Run("case="+test.name, func(t *testing.T) {
			_, err := parseConfig([]byte(test.json))
			wantError(t, err, test.want)
		})
	}
}

func TestApply(t *testing.T) {
	m := &Image{Width: 2, Height: 1, Channels: 3, Pix: []uint8{0, 51, 255, 255, 0, 0}}
	c := DefaultConfig()
	c.Resize = false
	c.Mean, c.Std = []float64{0.5, 0.2, 0}, []float64{0.5, 0.4, 1}
	p, err := NewPreprocessor(c, 3, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Apply(m)
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{-1, 1, 0, -0.5, 1, 0} // planes of red, green, blue
	for i := range want {
		if !(math.Abs(float64(got[i]-want[i])) <= 1e-6) {
			t.Errorf("value %d is %g, want %g", i, got[i], want[i])
		}
	}
	_, err = p.Apply(New(3, 1, 3))
	wantError(t, err, "3 x 1")
	if _, err := NewPreprocessor(DefaultConfig(), 3, 28, 28); err == nil || !strings.Contains(err.Error(), "224 x 224") {
		t.Errorf("a size that is not the model's: %v", err)
	}
	_, err = NewPreprocessor(c, 1, 2, 1)
	wantError(t, err, "image_mean has 3 values for the model's 1 channels")
	_, err = NewPreprocessor(c, 4, 2, 1)
	wantError(t, err, "4 channels")
}

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	_, err := ReadConfig(dir)
	wantError(t, err, "no preprocessor_config.json in")
	path := filepath.Join(dir, ConfigFile)
	if err := os.WriteFile(path, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err = ReadConfig(dir)
	wantError(t, err, path)
}

func TestCentreCrop(t *testing.T) {
	row := func(n int) *Image {
		m := New(n, 1, 1)
		for i := range m.Pix {
			m.Pix[i] = uint8(i + 1)
		}
		return m
	}
	for _, test := range []struct {
		have, want int
		pix        string
	}{
		{5, 3, "\x02\x03\x04"}, {5, 2, "\x02\x03"}, {4, 1, "\x02"}, {2, 4, "\x00\x01\x02\x00"}, {2, 5, "\x00\x00\x01\x02\x00"}, {3, 3, "\x01\x02\x03"},
	} {
		if got := string(row(test.have).CentreCrop(test.want, 1).Pix); got != test.pix {
			t.Errorf("the middle %d of %d: %q, want %q", test.want, test.have, got, test.pix)
		}
	}
}

func TestBadPictures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.jpg")
	whole := encodeJPEG(t, 16, 16)
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "neither a JPEG nor a PNG"},
		{"text", []byte("hello"), "neither a JPEG nor a PNG"},
		{"cut", whole[:len(whole)/2], "corrupt picture"},
		{"head", whole[:4], "corrupt picture"},
		{"huge", hugePNG(t), "is not read"},
	} {
		t.Run("case="+test.name, func(t *testing.T) {
			if err := os.WriteFile(path, test.data, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			wantError(t, err, test.want)
			wantError(t, err, path)
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encodeJPEG(f, 9, 7))
	f.Add(hugePNG(f))
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray16(image.Rect(0, 0, 3, 2))); err != nil {
		f.Fatal(err)
	}
	f.Add(small.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		if len(m.Pix) != m.Width*m.Height*m.Channels {
			t.Fatalf("%d values for %d x %d x %d", len(m.Pix), m.Width, m.Height, m.Channels)
		}
	})
}

// FuzzConfig checks that any preprocessor_config.json is an error or a config
// that works on a picture.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"size": 8, "resample": 3, "do_center_crop": true, "crop_size": {"height": 4, "width": 5}}`))
	f.Add([]byte(`{"size": {"shortest_edge": 2}, "do_normalize": false}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseConfig(b)
		if err != nil || max(c.Size.Width, c.Size.Height, c.Size.ShortestEdge, c.CropSize.Width, c.CropSize.Height) > 64 {
			return
		}
		w, h, known := c.result()
		if !known {
			w, h = 7, 5
		}
		if p, err := NewPreprocessor(c, 3, w, h); err == nil {
			p.Apply(New(7, 5, 1))
		}
	})
}

func encodeJPEG(t testing.TB, w, h int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 37)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// hugePNG is a small file that claims 30,000 x 30,000 pixels.
func hugePNG(t testing.TB) []byte {
	t.Helper()
	return []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x75\x30\x00\x00\x75\x30\x08\x02\x00\x00\x00\xe9\x45\x6f\xed")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}
