package wordpiece

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzTokenizer checks that any text gives ids of the vocabulary, in a frame,
// within the length.
func FuzzTokenizer(f *testing.F) {
	vocab := map[string]int32{}
	for _, r := range readGolden(f, "testdata/golden.jsonl.gz") {
		for i, w := range r.Vocab {
			vocab[w] = int32(i)
		}
		if r.Vocab != nil {
			break
		}
	}
	var toks []*Tokenizer
	for _, flags := range []Flags{
		{CleanText: true, Chinese: true, StripAccents: true, LowerCase: true},
		{CleanText: true, Chinese: true}, {}, {StripAccents: true}, {LowerCase: true},
	} {
		opt := Options{Flags: flags}
		opt.Added = append(specials(vocab, opt.withDefaults()),
			AddedToken{ID: int32(len(vocab)), Content: "<x>", LStrip: true, RStrip: true},
			AddedToken{ID: int32(len(vocab)) + 1, Content: "Ké", SingleWord: true, Normalized: true})
		tok, err := New(vocab, opt)
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	for _, s := range []string{
		"", "[MASK] ka<x>mo", "Ké\u0301 ké", "İ\u0344\u1e9b\u0323", "가\u11a8", "\xff\xfe[SEP", "中\U0001f468\u200d\U0001f4bb", strings.Repeat("\u0301", 50) + "a",
	} {
		f.Add(s, "pair [SEP]", 7)
	}
	f.Fuzz(func(t *testing.T, text, pair string, length int) {
		if length %= 64; length < 3 {
			length = 0
		}
		for _, tok := range toks {
			one, err := tok.Encode(text, length)
			if err != nil {
				t.Fatal(err)
			}
			two, err := tok.EncodePair(text, pair, length)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []Encoding{one, two} {
				if len(e.IDs) != len(e.TypeIDs) || length > 0 && len(e.IDs) > length {
					t.Fatalf("%d ids, %d types, at most %d", len(e.IDs), len(e.TypeIDs), length)
				}
				if e.IDs[0] != tok.cls || e.IDs[len(e.IDs)-1] != tok.sep {
					t.Fatalf("no frame around %v", e.IDs)
				}
				for _, id := range e.IDs {
					if id < 0 || int(id) >= tok.Size() {
						t.Fatalf("id %d of %d", id, tok.Size())
					}
				}
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		// Normalising twice is normalising once, where nothing is set apart
		// and no dotted capital I leaves a mark behind.
		once := Flags{CleanText: true, StripAccents: true}.normalize(nil, text)
		if twice := (Flags{CleanText: true, StripAccents: true}).normalize(nil, string(once)); string(twice) != string(once) {
			t.Fatalf("%+q becomes %+q, then %+q", text, string(once), string(twice))
		}
	})
}

// FuzzFiles checks that any tokenizer.json and tokenizer_config.json is an
// error or a tokenizer that works.
func FuzzFiles(f *testing.F) {
	f.Add(tinyJSON(template, bertNorm, ""), `{"do_lower_case": false}`)
	f.Add(tinyJSON(bertPost, bertNorm, `, {"id": 13, "content": "world", "normalized": true}`), `{"cls_token": {"content": "[CLS]"}}`)
	f.Fuzz(func(t *testing.T, doc, cfg string) {
		c, err := parseSettings([]byte(cfg))
		if err != nil {
			return
		}
		tok, err := parseJSON([]byte(doc), c)
		if err != nil {
			return
		}
		if _, err := tok.EncodePair("hello world", "café [MASK]", 16); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	vocab := map[string]int32{}
	var texts []string
	for _, r := range readGolden(b, "testdata/golden.jsonl.gz") {
		for i, w := range r.Vocab {
			vocab[w] = int32(i)
		}
		if r.Text != nil {
			texts = append(texts, *r.Text)
		}
	}
	plain := strings.Repeat("the conkalo mingra vel, torunest pordre! ", 20)
	for name, list := range map[string][]string{"nasty": texts, "plain": {plain}} {
		b.Run("text="+name, func(b *testing.B) {
			tok, err := New(vocab, Options{Flags: Flags{CleanText: true, Chinese: true, StripAccents: true, LowerCase: true}})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for _, s := range list {
				n += len(s)
			}
			b.SetBytes(int64(n))
			for b.Loop() {
				for _, s := range list {
					if _, err := tok.Encode(s, 0); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
