package train

import "math/rand/v2"

// Vocabulary is what hiding tokens has to know of a tokenizer.
type Vocabulary struct {
	Size    int     // of the model's table
	Mask    int32   // stands for a hidden token
	Special []int32 // tokens that are never hidden: [CLS], [SEP], [PAD]
}

// hide replaces tokens of a packed batch of texts, each with probability share,
// and returns the rows of those it chose and what stood there: of ten chosen
// ones eight become the mask, one any token, and one stays (Devlin et al.,
// 2019).
func (v *Vocabulary) hide(ids []int32, share float64, rng *rand.Rand) (rows, hidden []int32) {
	for i, id := range ids {
		if rng.Float64() >= share || v.isSpecial(id) {
			continue
		}
		rows, hidden = append(rows, int32(i)), append(hidden, id)
		switch rng.IntN(10) {
		case 0:
			ids[i] = int32(rng.IntN(v.Size))
		case 1:
		default:
			ids[i] = v.Mask
		}
	}
	return rows, hidden
}

func (v *Vocabulary) isSpecial(id int32) bool {
	for _, s := range v.Special {
		if id == s {
			return true
		}
	}
	return false
}
