package wordpiece

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// vocabulary maps pieces to ids: those that begin a word and those that
// continue one, the latter without their prefix.
type vocabulary struct {
	ids     map[string]int32 // every entry as it is written
	heads   map[string]int32
	tails   map[string]int32
	longest int // bytes of the longest piece
	size    int // highest id + 1
	unknown int32
	limit   int // characters of the longest word that is looked at
}

// newVocabulary prepares the lookup. prefix marks a continuing piece ("##").
func newVocabulary(ids map[string]int32, prefix, unknown string, limit int) (*vocabulary, error) {
	v := &vocabulary{
		ids: ids, limit: limit,
		heads: make(map[string]int32, len(ids)),
		tails: make(map[string]int32, len(ids)),
	}
	for piece, id := range ids {
		if id < 0 {
			return nil, fmt.Errorf("the id of %q is %d; ids count from 0", piece, id)
		}
		v.size = max(v.size, int(id)+1)
		v.longest = max(v.longest, len(piece))
		v.heads[piece] = id
		if tail, ok := strings.CutPrefix(piece, prefix); ok {
			v.tails[tail] = id
		}
	}
	id, ok := ids[unknown]
	if !ok {
		return nil, missing(unknown, len(ids))
	}
	v.unknown = id
	return v, nil
}

// missing says that a vocabulary lacks a token it cannot do without.
func missing(token string, entries int) error {
	return fmt.Errorf("the vocabulary has %d entries and no %s: a BERT vocabulary holds [UNK], [CLS] and [SEP]; is this the model's own file?", entries, token)
}

// appendPieces appends the ids of one word: the longest piece that begins it,
// then the longest that continues it, and so on. A word that cannot be cut
// whole, or that is longer than the limit, is the unknown token.
func (v *vocabulary) appendPieces(dst []int32, word []rune, buf []byte) ([]int32, []byte) {
	if len(word) > v.limit {
		return append(dst, v.unknown), buf
	}
	buf = buf[:0]
	for _, r := range word {
		buf = utf8.AppendRune(buf, r)
	}
	pieces, kept := v.heads, len(dst)
	for rest := buf; len(rest) > 0; {
		end := min(len(rest), v.longest)
		id, ok := int32(0), false
		for ; end > 0; end-- {
			if end < len(rest) && !utf8.RuneStart(rest[end]) {
				continue
			}
			if id, ok = pieces[string(rest[:end])]; ok {
				break
			}
		}
		if !ok {
			return append(dst[:kept], v.unknown), buf
		}
		dst = append(dst, id)
		rest, pieces = rest[end:], v.tails
	}
	return dst, buf
}
