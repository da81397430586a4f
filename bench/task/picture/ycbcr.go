package picture

import "image"

// fromYCbCr makes a decoded JPEG red, green and blue as libjpeg does: colour
// planes of half size are enlarged by a triangle filter ("fancy upsampling"),
// not by repeating each value.
func fromYCbCr(s *image.YCbCr) *Image {
	w, h := s.Rect.Dx(), s.Rect.Dy()
	m := New(w, h, 3)
	cb, cr := newChroma(s, s.Cb), newChroma(s, s.Cr)
	for y := range h {
		luma := s.Y[y*s.YStride:]
		b, r := cb.rowAt(y), cr.rowAt(y)
		out := m.row(y)
		for x := range w {
			writeRGB(out[3*x:3*x+3], int32(luma[x]), int32(b[x])-128, int32(r[x])-128)
		}
	}
	return m
}

// writeRGB converts one pixel with libjpeg's 16-bit fixed-point factors.
func writeRGB(dst []uint8, y, cb, cr int32) {
	const (
		half = 1 << 15
		crR  = 91881  // 1.40200
		cbB  = 116130 // 1.77200
		crG  = 46802  // 0.71414
		cbG  = 22554  // 0.34414
	)
	dst[0] = clip8(y + (crR*cr+half)>>16)
	dst[1] = clip8(y + (-cbG*cb-crG*cr+half)>>16)
	dst[2] = clip8(y + (cbB*cb+half)>>16)
}

func clip8(v int32) uint8 { return uint8(max(0, min(255, v))) }

// chroma enlarges one colour plane, row by row.
type chroma struct {
	pix           []uint8
	stride        int
	width, height int // of the plane
	across, down  int // how many pixels a value spans
	sums          []int32
	out           []uint8
}

func newChroma(s *image.YCbCr, pix []uint8) *chroma {
	across, down := 1, 1
	switch s.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	w, h := s.Rect.Dx(), s.Rect.Dy()
	c := &chroma{
		pix: pix, stride: s.CStride, across: across, down: down,
		width: (w + across - 1) / across, height: (h + down - 1) / down,
	}
	c.sums = make([]int32, c.width)
	c.out = make([]uint8, c.width*across)
	return c
}

func (c *chroma) plane(y int) []uint8 { return c.pix[y*c.stride:][:c.width] }

// rowAt returns the row of the plane that belongs to the picture's row y. It
// is valid until the next call.
func (c *chroma) rowAt(y int) []uint8 {
	row := c.plane(y / c.down)
	smooth := c.width > 2 // narrower planes are repeated
	switch {
	case c.across == 1 && c.down == 1:
		return row
	case c.across == 2 && c.down == 1 && smooth:
		c.widen(row)
	case c.across == 1 && c.down == 2:
		c.mix(y, row)
		for i, s := range c.sums {
			c.out[i] = uint8((s + 1 + int32(y&1)) >> 2)
		}
	case c.across == 2 && c.down == 2 && smooth:
		c.mix(y, row)
		c.widenSums()
	default:
		for i := range c.out {
			c.out[i] = row[i/c.across]
		}
	}
	return c.out
}

// mix fills sums with 3 times the nearer row plus the next nearest.
func (c *chroma) mix(y int, row []uint8) {
	near := y/2 - 1 + 2*(y&1)
	other := c.plane(max(0, min(c.height-1, near)))
	for i := range c.sums {
		c.sums[i] = 3*int32(row[i]) + int32(other[i])
	}
}

// widen doubles a row: each value lies a quarter from its neighbours' side.
func (c *chroma) widen(row []uint8) {
	last := c.width - 1
	for i := range row {
		v := 3 * int32(row[i])
		c.out[2*i] = uint8((v + int32(row[max(0, i-1)]) + 1) >> 2)
		c.out[2*i+1] = uint8((v + int32(row[min(last, i+1)]) + 2) >> 2)
	}
	c.out[0], c.out[2*last+1] = row[0], row[last]
}

// widenSums doubles the sums of two rows, which are 4 times a value.
func (c *chroma) widenSums() {
	last := c.width - 1
	for i, s := range c.sums {
		c.out[2*i] = uint8((3*s + c.sums[max(0, i-1)] + 8) >> 4)
		c.out[2*i+1] = uint8((3*s + c.sums[min(last, i+1)] + 7) >> 4)
	}
}
