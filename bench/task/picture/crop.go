package picture

// CentreCrop returns the middle of the image. Where the image is smaller, it
// is set in the middle of black.
func (m *Image) CentreCrop(width, height int) *Image {
	top, left := floorHalf(m.Height-height), floorHalf(m.Width-width)
	if top < 0 || left < 0 {
		// The padding before is the larger half, which the floor above gives
		// for the side that is too small only when it is odd: add it first.
		w, h := max(width, m.Width), max(height, m.Height)
		padTop, padLeft := (h-m.Height+1)/2, (w-m.Width+1)/2
		padded := New(w, h, m.Channels)
		for y := range m.Height {
			copy(padded.row(y + padTop)[padLeft*m.Channels:], m.row(y))
		}
		m, top, left = padded, max(0, top+padTop), max(0, left+padLeft)
	}
	out := New(width, height, m.Channels)
	for y := range height {
		copy(out.row(y), m.row(top + y)[left*m.Channels:])
	}
	return out
}

func (m *Image) row(y int) []uint8 {
	n := m.Width * m.Channels
	return m.Pix[y*n : (y+1)*n]
}

// floorHalf is n/2 rounded down, also below zero.
func floorHalf(n int) int { return n >> 1 }
