package picture

import "fmt"

// Image is 8 bits a value, rows from the top, channels interleaved.
type Image struct {
	Width, Height int
	Channels      int // 1 (grey) or 3 (red, green, blue)
	Pix           []uint8
}

// New returns a black image.
func New(width, height, channels int) *Image {
	return &Image{Width: width, Height: height, Channels: channels, Pix: make([]uint8, width*height*channels)}
}

// WithChannels returns the image in 1 or 3 channels. Grey is the ITU-R 601
// luma, (19595 R + 38470 G + 7471 B + 32768) / 65536, as Pillow computes it.
func (m *Image) WithChannels(channels int) (*Image, error) {
	switch {
	case m.Channels == channels:
		return m, nil
	case m.Channels == 1 && channels == 3:
		out := New(m.Width, m.Height, 3)
		for i, v := range m.Pix {
			out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = v, v, v
		}
		return out, nil
	case m.Channels == 3 && channels == 1:
		out := New(m.Width, m.Height, 1)
		for i := range out.Pix {
			p := m.Pix[3*i : 3*i+3]
			out.Pix[i] = uint8((uint32(p[0])*19595 + uint32(p[1])*38470 + uint32(p[2])*7471 + 1<<15) >> 16)
		}
		return out, nil
	}
	return nil, fmt.Errorf("an image of %d channels cannot be made one of %d", m.Channels, channels)
}
