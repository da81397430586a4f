package wordpiece

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// span is a run of code points, both ends included.
type span struct{ first, last rune }

// within reports whether r lies in one of the ordered spans.
func within(spans []span, r rune) bool {
	low, high := 0, len(spans)
	for low < high {
		mid := (low + high) / 2
		if spans[mid].last < r {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low < len(spans) && spans[low].first <= r
}

// isRemoved reports whether cleaning drops r.
func isRemoved(r rune) bool { return within(removedRanges[:], r) }

// isPunctuation reports whether r is a word of its own.
func isPunctuation(r rune) bool { return within(punctuationRanges[:], r) }

// isNonspacing reports whether stripping accents drops r.
func isNonspacing(r rune) bool { return r >= 0x300 && within(nonspacingRanges[:], r) }

// isSpace reports whether r has the property White_Space, which no Unicode
// version has changed since 6.3.
func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isChinese reports whether r is in a block that BERT sets apart by spaces.
// The blocks are BERT's own list: it begins the fifth at U+2B920, where
// Unicode has U+2B820, and knows none of the later ones.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, r >= 0x4E00 && r <= 0x9FFF, r >= 0xF900 && r <= 0xFAFF:
		return true
	case r >= 0x20000 && r <= 0x2A6DF, r >= 0x2A700 && r <= 0x2B81F:
		return true
	}
	return r >= 0x2B920 && r <= 0x2CEAF || r >= 0x2F800 && r <= 0x2FA1F
}

// combiningClass returns the canonical combining class of r.
func combiningClass(r rune) uint8 {
	if r < 0x300 || !within(reorderedRanges[:], r) {
		return 0
	}
	return norm.NFD.PropertiesString(string(r)).CCC()
}

// appendDecomposed appends the full canonical decomposition of r.
func appendDecomposed(dst []rune, r rune) []rune {
	if r < 0xC0 || !within(decomposedRanges[:], r) {
		return append(dst, r)
	}
	if r >= hangulFirst && r <= hangulLast {
		return appendJamo(dst, r)
	}
	for _, d := range string(norm.NFD.PropertiesString(string(r)).Decomposition()) {
		dst = append(dst, d)
	}
	return dst
}

// The Hangul syllables, which decompose by arithmetic (Unicode, section 3.12).
const (
	hangulFirst = 0xAC00
	hangulLast  = 0xD7A3
	jamoLead    = 0x1100
	jamoVowel   = 0x1161
	jamoTail    = 0x11A7 // one before the first tail: 0 means no tail
	vowels      = 21
	tails       = 28
)

// appendJamo appends the two or three letters of the Hangul syllable r.
func appendJamo(dst []rune, r rune) []rune {
	i := r - hangulFirst
	dst = append(dst, jamoLead+i/(vowels*tails), jamoVowel+i/tails%vowels)
	if t := i % tails; t != 0 {
		dst = append(dst, jamoTail+t)
	}
	return dst
}

// appendLower appends the lower case of r, which for the dotted capital I is
// two characters. No context is looked at: a final sigma stays a sigma.
func appendLower(dst []rune, r rune) []rune {
	switch {
	case r == 0x130:
		return append(dst, 'i', 0x307)
	case r < 0x1C89:
		return append(dst, unicode.ToLower(r))
	}
	return append(dst, lateLower(r))
}

// lateLower is unicode.ToLower with the letters that Unicode 16 and 17 added.
func lateLower(r rune) rune {
	switch {
	case r == 0x1C89, r == 0xA7CC, r == 0xA7CE, r == 0xA7D2, r == 0xA7D4, r == 0xA7DA:
		return r + 1
	case r == 0xA7CB:
		return 0x264
	case r == 0xA7DC:
		return 0x19B
	case r >= 0x10D50 && r <= 0x10D65:
		return r + 0x20
	case r >= 0x16EA0 && r <= 0x16EB8:
		return r + 0x1B
	}
	return unicode.ToLower(r)
}
