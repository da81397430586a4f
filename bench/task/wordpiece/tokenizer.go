package wordpiece

import (
	"fmt"
	"sync"
)

// Tokenizer turns text into ids. It is safe for concurrent use.
type Tokenizer struct {
	flags   Flags
	vocab   *vocabulary
	raw     *matcher // added tokens found in the text as it is
	cooked  *matcher // added tokens found in the normalised text; nil when none
	cls     int32
	sep     int32
	pad     int32
	maxLen  int // model_max_length; 0 when unknown
	left    bool
	size    int
	scratch sync.Pool
}

// Encoding is one encoded text or pair.
type Encoding struct {
	IDs     []int32
	TypeIDs []int32 // 0 for the first text, 1 for the second
}

// scratch is what one call needs and the next can use again.
type scratch struct {
	text  []rune
	word  []byte
	first []int32
	other []int32
}

// Options describe a tokenizer that is not read from files.
type Options struct {
	Flags     Flags
	Prefix    string       // of continuing pieces, default "##"
	Unknown   string       // default "[UNK]"
	CLS, SEP  string       // default "[CLS]", "[SEP]"
	Pad       string       // default "[PAD]"; may be absent from the vocabulary
	WordLimit int          // characters of the longest word, default 100
	MaxLength int          // the model's limit, 0 for none
	LeftSide  bool         // truncate at the beginning
	Added     []AddedToken // nil: the special tokens above and [MASK]
}

// New returns a tokenizer over a vocabulary.
func New(ids map[string]int32, opt Options) (*Tokenizer, error) {
	opt = opt.withDefaults()
	v, err := newVocabulary(ids, opt.Prefix, opt.Unknown, opt.WordLimit)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{flags: opt.Flags, vocab: v, maxLen: opt.MaxLength, left: opt.LeftSide, size: v.size}
	added := opt.Added
	if added == nil {
		added = specials(ids, opt)
	}
	byName := map[string]int32{}
	var raw, cooked []AddedToken
	for _, a := range added {
		if a.ID < 0 {
			return nil, fmt.Errorf("the id of the added token %q is %d; ids count from 0", a.Content, a.ID)
		}
		t.size = max(t.size, int(a.ID)+1)
		byName[a.Content] = a.ID
		if a.Normalized {
			a.Content = string(t.flags.normalize(nil, a.Content))
			cooked = append(cooked, a)
		} else {
			raw = append(raw, a)
		}
	}
	t.raw = newMatcher(raw)
	if len(cooked) > 0 {
		t.cooked = newMatcher(cooked)
	}
	for _, need := range []struct {
		name string
		id   *int32
	}{{opt.CLS, &t.cls}, {opt.SEP, &t.sep}, {opt.Pad, &t.pad}} {
		id, ok := byName[need.name]
		if !ok {
			id, ok = ids[need.name]
		}
		if !ok && need.id != &t.pad {
			return nil, missing(need.name, len(ids))
		}
		*need.id = id
	}
	t.scratch.New = func() any { return new(scratch) }
	return t, nil
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *string
		value string
	}{{&o.Prefix, "##"}, {&o.Unknown, "[UNK]"}, {&o.CLS, "[CLS]"}, {&o.SEP, "[SEP]"}, {&o.Pad, "[PAD]"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.WordLimit == 0 {
		o.WordLimit = 100
	}
	return o
}

// specials are the tokens every BERT tokenizer matches in the text.
func specials(ids map[string]int32, opt Options) []AddedToken {
	var out []AddedToken
	for _, name := range []string{opt.Pad, opt.Unknown, opt.CLS, opt.SEP, "[MASK]"} {
		if id, ok := ids[name]; ok {
			out = append(out, AddedToken{ID: id, Content: name, Special: true})
		}
	}
	return out
}

// Size is the number of ids: the highest id plus one.
func (t *Tokenizer) Size() int { return t.size }

// MaxLength is the model's limit as tokenizer_config.json gives it, 0 if none.
func (t *Tokenizer) MaxLength() int { return t.maxLen }

// Pad is the id of the padding token, 0 where the vocabulary has none.
func (t *Tokenizer) Pad() int32 { return t.pad }

// ID returns the id of an entry of the vocabulary.
func (t *Tokenizer) ID(entry string) (int32, bool) {
	id, ok := t.vocab.ids[entry]
	return id, ok
}

// Encode returns the ids of one text, at most maxLength of them with the
// special tokens; 0 means no limit.
func (t *Tokenizer) Encode(text string, maxLength int) (Encoding, error) {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	s.first = t.appendIDs(s.first[:0], text, s)
	ids := s.first
	if maxLength > 0 {
		if maxLength < 2 {
			return Encoding{}, errRoom(maxLength, 2)
		}
		ids = t.keep(ids, min(len(ids), maxLength-2))
	}
	e := newEncoding(len(ids) + 2)
	e.IDs = append(e.IDs, t.cls)
	e.IDs = append(e.IDs, ids...)
	e.IDs = append(e.IDs, t.sep)
	return e, nil
}

// EncodePair returns the ids of two texts, at most maxLength of them with the
// special tokens, the longer text truncated first; 0 means no limit. An empty
// second text still makes a pair, as in a batch of Hugging Face's tokenizer
// (called with one pair, that one drops an empty second text).
func (t *Tokenizer) EncodePair(text, pair string, maxLength int) (Encoding, error) {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	s.first = t.appendIDs(s.first[:0], text, s)
	s.other = t.appendIDs(s.other[:0], pair, s)
	a, b := s.first, s.other
	if maxLength > 0 {
		if maxLength < 3 {
			return Encoding{}, errRoom(maxLength, 3)
		}
		na, nb := longestFirst(len(a), len(b), maxLength-3)
		a, b = t.keep(a, na), t.keep(b, nb)
	}
	e := newEncoding(len(a) + len(b) + 3)
	e.IDs = append(e.IDs, t.cls)
	e.IDs = append(e.IDs, a...)
	e.IDs = append(e.IDs, t.sep)
	e.IDs = append(e.IDs, b...)
	e.IDs = append(e.IDs, t.sep)
	for i := len(a) + 2; i < len(e.TypeIDs); i++ {
		e.TypeIDs[i] = 1
	}
	return e, nil
}

func newEncoding(n int) Encoding {
	return Encoding{IDs: make([]int32, 0, n), TypeIDs: make([]int32, n)}
}

func errRoom(got, special int) error {
	return fmt.Errorf("max_length is %d, but the special tokens alone take %d: set it to more", got, special)
}

// keep returns the n ids that truncation leaves.
func (t *Tokenizer) keep(ids []int32, n int) []int32 {
	if t.left {
		return ids[len(ids)-n:]
	}
	return ids[:n]
}

// appendIDs appends the ids of a text without special tokens around it.
func (t *Tokenizer) appendIDs(dst []int32, text string, s *scratch) []int32 {
	token := func(id int32) { dst = append(dst, id) }
	word := func(w []rune) { dst, s.word = t.vocab.appendPieces(dst, w, s.word) }
	t.raw.cut(text, func(part string) {
		s.text = t.flags.normalize(s.text[:0], part)
		if t.cooked == nil {
			words(s.text, word)
			return
		}
		t.cooked.cut(string(s.text), func(part string) { words([]rune(part), word) }, token)
	}, token)
	return dst
}

// CheckVocab returns an error unless the model's vocab_size fits: it may only
// differ from the tokenizer's by rows that round it up to a multiple of 8 to
// 128, as some checkpoints are padded.
func (t *Tokenizer) CheckVocab(modelSize int) error {
	n := t.size
	for _, multiple := range []int{1, 8, 16, 32, 64, 128} {
		if (n+multiple-1)/multiple*multiple == modelSize {
			return nil
		}
	}
	if n > modelSize {
		return fmt.Errorf("the tokenizer has %d ids but the model's vocab_size is only %d: the vocabulary belongs to another model; take it from the model's own files", n, modelSize)
	}
	return fmt.Errorf("the tokenizer has only %d ids but the model's vocab_size is %d: the vocabulary is cut short or belongs to another model; take it from the model's own files", n, modelSize)
}
