package picture

import (
	"fmt"
	"math"
)

// Filter is a way to resample, by Pillow's numbers, which the key `resample`
// of preprocessor_config.json holds.
type Filter int

// Pillow's filters.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
)

// kernel returns the weight function of a filter and how far it reaches.
func (f Filter) kernel() (weight func(float64) float64, reach float64, err error) {
	switch f {
	case Lanczos:
		return lanczos, 3, nil
	case Bilinear:
		return triangle, 1, nil
	case Bicubic:
		return cubic, 2, nil
	case Box:
		return box, 0.5, nil
	case Hamming:
		return hamming, 1, nil
	}
	return nil, 0, fmt.Errorf("resample %d is not a filter: 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming", int(f))
}

func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

// cubic is Keys' kernel with a = -1/2.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

func hamming(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	x *= math.Pi
	return math.Sin(x) / x * (0.54 + 0.46*math.Cos(x))
}

func lanczos(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// Resize returns the image at another size.
func (m *Image) Resize(width, height int, f Filter) (*Image, error) {
	if width < 1 || height < 1 || width > maxSide || height > maxSide {
		return nil, fmt.Errorf("an image cannot be resized to %d x %d", width, height)
	}
	if width == m.Width && height == m.Height {
		return m, nil
	}
	if f == Nearest {
		return m.nearest(width, height), nil
	}
	weight, reach, err := f.kernel()
	if err != nil {
		return nil, err
	}
	out := m
	if width != m.Width {
		out = out.resizeRows(width, newTaps(m.Width, width, weight, reach))
	}
	if height != m.Height {
		out = out.resizeColumns(height, newTaps(m.Height, height, weight, reach))
	}
	return out, nil
}

func (m *Image) nearest(width, height int) *Image {
	out := New(width, height, m.Channels)
	sx, sy, c := float64(m.Width)/float64(width), float64(m.Height)/float64(height), m.Channels
	for y := range height {
		from := m.Pix[int((float64(y)+0.5)*sy)*m.Width*c:]
		for x := range width {
			i := int((float64(x)+0.5)*sx) * c
			copy(out.Pix[(y*width+x)*c:][:c], from[i:i+c])
		}
	}
	return out
}

// taps are the fixed-point weights of every output place along one axis.
type taps struct {
	first   []int
	weights [][]int32
}

// precision is the number of fraction bits of a weight: 8 bits of a pixel and
// 2 to spare for weights beyond 1 must fit beside it in 32.
const precision = 32 - 8 - 2

func newTaps(in, out int, weight func(float64) float64, reach float64) taps {
	scale := float64(in) / float64(out)
	widen := max(scale, 1)
	reach *= widen
	t := taps{first: make([]int, out), weights: make([][]int32, out)}
	for i := range out {
		centre := (float64(i) + 0.5) * scale
		first := max(0, int(centre-reach+0.5))
		last := min(in, int(centre+reach+0.5))
		raw := make([]float64, last-first)
		sum := 0.0
		for k := range raw {
			raw[k] = weight((float64(k+first) - centre + 0.5) * (1 / widen))
			sum += raw[k]
		}
		fixed := make([]int32, len(raw))
		for k, w := range raw {
			if sum != 0 {
				w /= sum
			}
			fixed[k] = int32(math.Trunc(w*(1<<precision) + math.Copysign(0.5, w)))
		}
		t.first[i], t.weights[i] = first, fixed
	}
	return t
}

func (m *Image) resizeRows(width int, t taps) *Image {
	c := m.Channels
	out := New(width, m.Height, c)
	for y := range m.Height {
		row := m.Pix[y*m.Width*c:][:m.Width*c]
		to := out.Pix[y*width*c:][:width*c]
		for x, weights := range t.weights {
			for ch := range c {
				sum := int32(1 << (precision - 1))
				i := t.first[x]*c + ch
				for _, w := range weights {
					sum += int32(row[i]) * w
					i += c
				}
				to[x*c+ch] = clip(sum)
			}
		}
	}
	return out
}

func (m *Image) resizeColumns(height int, t taps) *Image {
	stride := m.Width * m.Channels
	out := New(m.Width, height, m.Channels)
	sums := make([]int32, stride)
	for y, weights := range t.weights {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for k, w := range weights {
			row := m.Pix[(t.first[y]+k)*stride:][:stride]
			for i, v := range row {
				sums[i] += int32(v) * w
			}
		}
		to := out.Pix[y*stride:][:stride]
		for i, s := range sums {
			to[i] = clip(s)
		}
	}
	return out
}

// clip rounds a fixed-point sum to 8 bits.
func clip(sum int32) uint8 { return uint8(max(0, min(255, sum>>precision))) }
