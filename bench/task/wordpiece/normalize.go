package wordpiece

// Flags are the switches of BERT's normaliser.
type Flags struct {
	CleanText    bool // drop control characters, make all white space a blank
	Chinese      bool // set Chinese characters apart by blanks
	StripAccents bool // decompose and drop nonspacing marks
	LowerCase    bool
}

// normalize appends the normalised text to dst and returns it. Bytes that are
// not UTF-8 count as U+FFFD.
func (f Flags) normalize(dst []rune, text string) []rune {
	start, marks := len(dst), false
	for _, r := range text {
		if r < 0x80 {
			if f.CleanText && (r < ' ' || r == 0x7F) {
				if r != '\t' && r != '\n' && r != '\r' {
					continue
				}
				r = ' '
			}
			if f.LowerCase && r >= 'A' && r <= 'Z' {
				r += 'a' - 'A'
			}
			dst = append(dst, r)
			continue
		}
		if f.CleanText {
			if isRemoved(r) {
				continue
			}
			if isSpace(r) {
				r = ' '
			}
		}
		apart := f.Chinese && isChinese(r)
		if apart {
			dst = append(dst, ' ')
		}
		if f.StripAccents {
			dst = appendDecomposed(dst, r)
			marks = true
		} else {
			dst = append(dst, r)
		}
		if apart {
			dst = append(dst, ' ')
		}
	}
	if marks {
		text := dropNonspacing(reorder(dst[start:]))
		dst = dst[:start+len(text)]
	}
	if f.LowerCase {
		dst = lowerFrom(dst, start)
	}
	return dst
}

// reorder puts every run of combining marks in canonical order, in place.
func reorder(text []rune) []rune {
	for i, r := range text {
		class := combiningClass(r)
		if class == 0 {
			continue
		}
		j := i
		for j > 0 && combiningClass(text[j-1]) > class {
			text[j] = text[j-1]
			j--
		}
		text[j] = r
	}
	return text
}

// dropNonspacing removes the nonspacing marks, in place.
func dropNonspacing(text []rune) []rune {
	kept := text[:0]
	for _, r := range text {
		if !isNonspacing(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// lowerFrom makes text[start:] lower-case. It copies only where the result is
// longer, at a dotted capital I.
func lowerFrom(text []rune, start int) []rune {
	for i := start; i < len(text); i++ {
		r := text[i]
		switch {
		case r < 0x80: // done in the first pass, or a mark's ASCII base
			if r >= 'A' && r <= 'Z' {
				text[i] = r + 'a' - 'A'
			}
		case r == 0x130:
			rest := append([]rune(nil), text[i:]...)
			text = text[:i]
			for _, r := range rest {
				text = appendLower(text, r)
			}
			return text
		default:
			text[i] = lateLower(r)
		}
	}
	return text
}
