package picture

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"testing"
)

// golden is what scripts/golden_picture.py wrote with Pillow.
type golden struct {
	Settings map[string]struct {
		Size     *[2]int `json:"size"` // width, height
		Shortest int     `json:"shortest"`
		Resample Filter  `json:"resample"`
		Crop     *[2]int `json:"crop"`
	} `json:"settings"`
	Cases []struct {
		Name    string                     `json:"name"`
		File    string                     `json:"file"`
		Data    []byte                     `json:"data"`
		Shape   [2]int                     `json:"shape"`
		Grey    bool                       `json:"grey"`
		Pixels  []byte                     `json:"pixels"`
		Luma    []byte                     `json:"luma"`
		Results map[string]json.RawMessage `json:"results"`
	} `json:"cases"`
}

// config is the preprocessor of a setting without the normalisation.
func (g golden) config(name string) Config {
	s := g.Settings[name]
	c := Config{Resize: true, Resample: s.Resample}
	if s.Size != nil {
		c.Size = Size{Width: s.Size[0], Height: s.Size[1]}
	} else {
		c.Size = Size{ShortestEdge: s.Shortest}
	}
	if s.Crop != nil {
		c.CentreCrop, c.CropSize = true, Size{Width: s.Crop[0], Height: s.Crop[1]}
	}
	return c
}

// TestDecode compares every kind of file with Pillow's decoder.
func TestDecode(t *testing.T) {
	g := readGolden(t, "testdata/golden.json.gz")
	// Largest difference allowed: none for PNG; for JPEG one unit of the
	// inverse transform in luma, or in chroma times 1.772, and rounding.
	allowed := map[string]int{
		"jpeg-444": 3, "jpeg-422": 3, "jpeg-420": 3, "jpeg-progressive": 3, "jpeg-grey": 1, "jpeg-cmyk": 3, "jpeg-small": 3,
	}
	for _, c := range g.Cases {
		t.Run("file="+c.Name, func(t *testing.T) {
			m, err := Decode(c.Data)
			if err != nil {
				t.Fatal(err)
			}
			if m.Width != c.Shape[0] || m.Height != c.Shape[1] || (m.Channels == 1) != c.Grey {
				t.Fatalf("got %d x %d of %d channels, want %v, grey %v", m.Width, m.Height, m.Channels, c.Shape, c.Grey)
			}
			within(t, m.Pix, inflate(t, c.Pixels), allowed[c.Name])
			grey, err := m.WithChannels(1)
			if err != nil {
				t.Fatal(err)
			}
			within(t, grey.Pix, inflate(t, c.Luma), allowed[c.Name])
		})
	}
}

// TestResizeExact compares the resampler with Pillow's, bit for bit.
func TestResizeExact(t *testing.T) {
	g := readGolden(t, "testdata/golden.json.gz")
	c := g.Cases[0]
	src := &Image{Width: c.Shape[0], Height: c.Shape[1], Channels: 3, Pix: inflate(t, c.Pixels)}
	for name, raw := range c.Results {
		t.Run("setting="+name, func(t *testing.T) {
			var packed []byte
			var sum uint32
			base, isSum := bytes.CutSuffix([]byte(name), []byte("-crc"))
			target := any(&packed)
			if isSum {
				target = &sum
			}
			if err := json.Unmarshal(raw, target); err != nil {
				t.Fatal(err)
			}
			got := shaped(t, src, g.config(string(base)))
			if isSum {
				if crc := crc32.ChecksumIEEE(got.Pix); crc != sum {
					t.Errorf("checksum of the pixels is %08x, want %08x", crc, sum)
				}
				return
			}
			within(t, got.Pix, inflate(t, packed), 0)
		})
	}
}

// TestRealPictures compares real pictures, which are not kept here, with a
// golden made by scripts/golden_picture.py --images.
func TestRealPictures(t *testing.T) {
	path := os.Getenv("OPTIN_PICTURE_GOLDEN")
	if path == "" {
		t.Skip("OPTIN_PICTURE_GOLDEN names no golden of real pictures")
	}
	g := readGolden(t, path)
	for _, c := range g.Cases {
		m, err := Open(c.File)
		if err != nil {
			t.Skip(err)
		}
		if m, err = m.WithChannels(3); err != nil {
			t.Fatal(err)
		}
		decoded := inflate(t, c.Pixels)
		within(t, m.Pix, decoded, 3)
		exact := &Image{Width: m.Width, Height: m.Height, Channels: 3, Pix: decoded}
		for name, raw := range c.Results {
			var packed []byte
			if err := json.Unmarshal(raw, &packed); err != nil {
				t.Fatal(err)
			}
			want := inflate(t, packed)
			within(t, shaped(t, exact, g.config(name)).Pix, want, 0)
			within(t, shaped(t, m, g.config(name)).Pix, want, 3)
		}
	}
}

// shaped is the image after the steps of a config, still in 8 bits.
func shaped(t *testing.T, m *Image, c Config) *Image {
	t.Helper()
	w, h := c.Size.of(m)
	out, err := m.Resize(w, h, c.Resample)
	if err != nil {
		t.Fatal(err)
	}
	if c.CentreCrop {
		out = out.CentreCrop(c.CropSize.Width, c.CropSize.Height)
	}
	return out
}

// within checks that values differ by no more than allowed, and says how far
// they do.
func within(t *testing.T, got, want []uint8, allowed int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	worst, at, off := 0, 0, 0
	for i := range got {
		d := max(int(got[i]), int(want[i])) - min(int(got[i]), int(want[i]))
		if d > 0 {
			off++
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if worst > allowed {
		t.Errorf("value %d is %d, want %d: off by %d, allowed %d", at, got[at], want[at], worst, allowed)
	}
	if off > 0 {
		t.Logf("%.2f %% of the values differ, the worst by %d", 100*float64(off)/float64(len(got)), worst)
	}
}

func readGolden(t *testing.T, path string) golden {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}

func inflate(t *testing.T, b []byte) []byte {
	t.Helper()
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
