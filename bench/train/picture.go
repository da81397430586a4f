package train

import (
	"math/rand/v2"
	"slices"
)

// pictures are the pixels [channels, height, width] of a micro-batch that are
// to be varied.
type pictures struct {
	channels, height, width int
	black                   []float32 // the value of a black pixel, by channel
}

// shift writes src, moved down by dy and right by dx and then mirrored if flip is
// set, to dst; what comes in from outside is black.
func (p *pictures) shift(dst, src []float32, dy, dx int, flip bool) {
	plane := p.height * p.width
	for i := range dst {
		ch, y, x := i/plane, i%plane/p.width, i%p.width
		if flip {
			x = p.width - 1 - x
		}
		if y, x = y-dy, x-dx; y < 0 || y >= p.height || x < 0 || x >= p.width {
			dst[i] = p.black[ch]
			continue
		}
		dst[i] = src[ch*plane+y*p.width+x]
	}
}

// vary shifts a picture by up to crop pixels each way and mirrors every other
// one.
func (p *pictures) vary(dst, src []float32, s *Settings, rng *rand.Rand) {
	dy, dx := rng.IntN(2*s.Crop+1)-s.Crop, rng.IntN(2*s.Crop+1)-s.Crop
	p.shift(dst, src, dy, dx, s.Flip && rng.IntN(2) == 1)
}

// mixAll mixes every picture of a micro-batch with another one of it, and the
// targets likewise: share x + (1-share) y, the share drawn from Beta(a, a) for
// each (Zhang et al., mixup, ICLR 2018).
func mixAll(pixels []float32, targets []float64, n int, a float64, rng *rand.Rand) {
	size, classes := len(pixels)/n, len(targets)/n
	plain, plainTargets := slices.Clone(pixels), slices.Clone(targets)
	for i, partner := range rng.Perm(n) {
		share := beta(rng, a)
		mix(pixels[i*size:(i+1)*size], plain[partner*size:(partner+1)*size], share)
		mix(targets[i*classes:(i+1)*classes], plainTargets[partner*classes:(partner+1)*classes], share)
	}
}

// keepPatches says which rows of a packed batch of pictures are kept where each
// of them loses all but keep of its patches: the special tokens before the
// patches, and of these some drawn at random, in order. Blank ones, of one colour
// all over, are left out first.
func (p *pictures) keepPatches(pixels []float32, n, special, patch, keep int, rng *rand.Rand) []int32 {
	across := p.width / patch
	patches := across * (p.height / patch)
	size := p.channels * p.height * p.width
	var rows []int32
	for i := range n {
		first := int32(i * (special + patches))
		for t := range special {
			rows = append(rows, first+int32(t))
		}
		chosen := rng.Perm(patches)
		image := pixels[i*size : (i+1)*size]
		blank := make([]bool, patches)
		for at := range blank {
			blank[at] = p.blank(image, at/across*patch, at%across*patch, patch)
		}
		slices.SortStableFunc(chosen, func(a, b int) int { return compareBool(!blank[a], !blank[b]) })
		chosen = chosen[:keep]
		slices.Sort(chosen)
		for _, at := range chosen {
			rows = append(rows, first+int32(special+at))
		}
	}
	return rows
}

// blank says whether the patch whose upper left corner is y, x has one value in
// every channel.
func (p *pictures) blank(image []float32, y, x, patch int) bool {
	for ch := range p.channels {
		plane := image[ch*p.height*p.width:]
		for i := range patch * patch {
			if plane[(y+i/patch)*p.width+x+i%patch] != plane[y*p.width+x] {
				return false
			}
		}
	}
	return true
}
