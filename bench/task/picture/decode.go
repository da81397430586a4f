package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
)

// maxPixels bounds the pixels of a picture, so that a few bytes that claim a
// huge one cannot take the memory.
const maxPixels = 1 << 26

// Open reads a JPEG or PNG file.
func Open(path string) (*Image, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Decode reads a JPEG or PNG picture, told apart by its first bytes.
func Decode(b []byte) (*Image, error) {
	decode, config := jpeg.Decode, jpeg.DecodeConfig
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		decode, config = png.Decode, png.DecodeConfig
	case !bytes.HasPrefix(b, []byte{0xFF, 0xD8}):
		return nil, errors.New("neither a JPEG nor a PNG picture")
	}
	c, err := config(bytes.NewReader(b))
	if err != nil {
		return nil, corrupt(err)
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels {
		return nil, fmt.Errorf("a picture of %d x %d is not read: a side may have up to %d pixels, a picture %d", c.Width, c.Height, maxSide, maxPixels)
	}
	src, err := decode(bytes.NewReader(b))
	if err != nil {
		return nil, corrupt(err)
	}
	return fromImage(src), nil
}

func corrupt(err error) error { return fmt.Errorf("corrupt picture: %w", err) }

// fromImage copies a decoded picture without its transparency.
func fromImage(src image.Image) *Image {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	switch s := src.(type) {
	case *image.YCbCr:
		return fromYCbCr(s)
	case *image.Gray:
		m := New(w, h, 1)
		for y := range h {
			copy(m.row(y), s.Pix[y*s.Stride:])
		}
		return m
	case *image.Gray16:
		m := New(w, h, 1)
		for i := range m.Pix {
			m.Pix[i] = uint8(s.Gray16At(b.Min.X+i%w, b.Min.Y+i/w).Y >> 8)
		}
		return m
	}
	m := New(w, h, 3)
	for y := range h {
		for x := range w {
			c := color.NRGBAModel.Convert(src.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA)
			copy(m.Pix[(y*w+x)*3:], []uint8{c.R, c.G, c.B})
		}
	}
	return m
}
