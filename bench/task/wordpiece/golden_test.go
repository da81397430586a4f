package wordpiece

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"
)

// record is one line of a golden: scripts/golden_tokenizer.py says what is in it.
type record struct {
	Special []string     `json:"special"`
	Extra   []AddedToken `json:"extra"`

	Vocab     []string `json:"vocab"`
	VocabPath string   `json:"vocab_path"`

	Sweep  string   `json:"sweep"`
	Hashes []string `json:"hashes"`

	Setting string           `json:"setting"`
	Lower   bool             `json:"lower"`
	Strip   *bool            `json:"strip"`
	Chinese bool             `json:"chinese"`
	Added   map[string]int32 `json:"added"`

	Text   *string `json:"t"`
	Pair   *string `json:"p"`
	IDs    []int32 `json:"i"`
	First  int     `json:"n1"`
	Length int     `json:"l"`
	Side   string  `json:"s"`
}

func (r record) flags() Flags {
	f := Flags{CleanText: true, Chinese: r.Chinese, LowerCase: r.Lower, StripAccents: r.Lower}
	if r.Strip != nil {
		f.StripAccents = *r.Strip
	}
	return f
}

// TestGolden checks every id against Hugging Face's fast tokenizer.
func TestGolden(t *testing.T) {
	checkGolden(t, "testdata/golden.jsonl.gz")
}

// TestGoldenOther checks goldens of other vocabularies, which are not kept
// here: scripts/golden_tokenizer.py golden --vocab FILE --out OTHER.
func TestGoldenOther(t *testing.T) {
	list := os.Getenv("OPTIN_TOKENIZER_GOLDEN")
	if list == "" {
		t.Skip("OPTIN_TOKENIZER_GOLDEN names no golden of another vocabulary")
	}
	for _, path := range filepath.SplitList(list) {
		checkGolden(t, path)
	}
}

func checkGolden(t *testing.T, path string) {
	t.Helper()
	var (
		vocab       map[string]int32
		header      record
		setting     record
		right, left *Tokenizer
		cases, bad  int
	)
	for n, r := range readGolden(t, path) {
		switch {
		case r.Special != nil:
			header = r
		case r.Vocab != nil:
			vocab = map[string]int32{}
			for i, w := range r.Vocab {
				vocab[w] = int32(i)
			}
		case r.VocabPath != "":
			tok, err := loadVocab(r.VocabPath, config{})
			if err != nil {
				t.Skipf("the vocabulary of the golden is not here: %v", err)
			}
			vocab = tok.vocab.ids
		case r.Sweep != "":
		case r.Setting != "":
			setting = r
			opt := Options{Flags: r.flags()}
			if r.Added != nil {
				opt.Added = specials(vocab, opt.withDefaults())
				for _, a := range header.Extra {
					a.ID = r.Added[a.Content]
					opt.Added = append(opt.Added, a)
				}
			}
			right = mustNew(t, vocab, opt)
			opt.LeftSide = true
			left = mustNew(t, vocab, opt)
		case r.Text != nil:
			cases++
			tok := right
			if r.Side == "left" {
				tok = left
			}
			if msg := compare(tok, r); msg != "" {
				if bad++; bad <= 10 {
					t.Errorf("%s: record %d, setting %s: %s", path, n+1, setting.Setting, msg)
				}
			}
		}
	}
	t.Logf("%s: %d cases, %d wrong", path, cases, bad)
	if cases < 2000 {
		t.Errorf("%s: only %d cases", path, cases)
	}
}

// compare returns what is wrong with the encoding of one case, or "".
func compare(tok *Tokenizer, r record) string {
	var e Encoding
	var err error
	if r.Pair != nil {
		e, err = tok.EncodePair(*r.Text, *r.Pair, r.Length)
	} else {
		e, err = tok.Encode(*r.Text, r.Length)
	}
	if err != nil {
		return err.Error()
	}
	if !slices.Equal(e.IDs, r.IDs) {
		return fmt.Sprintf("text %+q pair %s length %d\n got %v\nwant %v", *r.Text, quoted(r.Pair), r.Length, e.IDs, r.IDs)
	}
	for i, typ := range e.TypeIDs {
		want := int32(0)
		if r.Pair != nil && i >= r.First {
			want = 1
		}
		if typ != want {
			return fmt.Sprintf("text %+q: type of token %d is %d, want %d", *r.Text, i, typ, want)
		}
	}
	return ""
}

func quoted(s *string) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("%+q", *s)
}

// TestSweep normalises and cuts every code point there is.
func TestSweep(t *testing.T) {
	settings := map[string]record{}
	records := readGolden(t, "testdata/golden.jsonl.gz")
	for _, r := range records {
		if r.Setting != "" && r.Added == nil {
			settings[r.Setting] = r
		}
	}
	for _, r := range records {
		if r.Sweep == "" {
			continue
		}
		flags := settings[r.Sweep].flags()
		for block, want := range r.Hashes {
			if got := sweepBlock(flags, rune(block)*4096); got != want {
				t.Errorf("setting=%s: the 4096 characters from U+%04X: hash %s, want %s", r.Sweep, block*4096, got, want)
			}
		}
	}
}

// sweepBlock hashes the words of `aXbX<marks> X` for 4,096 characters X.
func sweepBlock(f Flags, first rune) string {
	h := fnv.New64a()
	var text []rune
	var line []byte
	for c := first; c < first+4096; c++ {
		if c >= 0xD800 && c < 0xE000 {
			continue
		}
		s := string(c)
		text = f.normalize(text[:0], "a"+s+"b"+s+"\u0327\u0301 "+s)
		line = line[:0]
		words(text, func(w []rune) {
			if len(line) > 0 {
				line = append(line, '\x1f')
			}
			for _, r := range w {
				line = utf8.AppendRune(line, r)
			}
		})
		h.Write(append(line, '\n'))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

func mustNew(t *testing.T, vocab map[string]int32, opt Options) *Tokenizer {
	t.Helper()
	tok, err := New(vocab, opt)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func readGolden(t testing.TB, path string) []record {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []record
	lines := bufio.NewReaderSize(z, 1<<16)
	for dec := json.NewDecoder(lines); dec.More(); {
		var r record
		if err := dec.Decode(&r); err != nil {
			t.Fatalf("%s: record %d: %v", path, len(out)+1, err)
		}
		out = append(out, r)
	}
	return out
}
