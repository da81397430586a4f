package wordpiece

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tiny is a vocabulary for tests of the files around it.
const tiny = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\nworld\n##s\ncafe\ncafé\n,\n中\n"

// tinyJSON is the same as tokenizer.json, with a hole for what is to vary.
func tinyJSON(post, normalizer, extra string) string {
	vocab := map[string]int{}
	for i, w := range strings.Split(strings.TrimSpace(tiny), "\n") {
		vocab[w] = i
	}
	b, err := json.Marshal(vocab)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"version": "1.0", "added_tokens": [{"id": 4, "content": "[MASK]", "special": true}%s],
		"normalizer": %s, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": %s,
		"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": %s}}`,
		extra, normalizer, post, b)
}

const (
	bertPost = `{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}`
	template = `{"type": "TemplateProcessing",
		"single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
		"pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
			{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]}`
	bertNorm = `{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}`
)

func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	const text = "Hello WORLDs, café中[MASK]"
	uncased := []int32{2, 5, 7, 8, 11, 9, 12, 4, 3}
	cased := []int32{2, 6, 1, 11, 10, 12, 4, 3}
	for _, test := range []struct {
		name  string
		files map[string]string
		want  []int32
	}{
		{"vocab alone", map[string]string{"vocab.txt": tiny}, uncased},
		{"carriage returns", map[string]string{"vocab.txt": strings.ReplaceAll(tiny, "\n", "\r\n")}, uncased},
		{"cased", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"do_lower_case": false}`}, cased},
		{"accents kept", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"strip_accents": false}`}, []int32{2, 5, 7, 8, 11, 10, 12, 4, 3}},
		{"Chinese not apart", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"tokenize_chinese_chars": false}`}, []int32{2, 5, 7, 8, 11, 1, 4, 3}},
		{"template", map[string]string{"tokenizer.json": tinyJSON(template, bertNorm, "")}, uncased},
		{"bert post", map[string]string{"tokenizer.json": tinyJSON(bertPost, bertNorm, "")}, uncased},
		{"json before vocab", map[string]string{"tokenizer.json": tinyJSON(template, bertNorm, ""), "vocab.txt": "[UNK]\n"}, uncased},
		{"config over json", map[string]string{"tokenizer.json": tinyJSON(template, bertNorm, ""), "tokenizer_config.json": `{"do_lower_case": false, "strip_accents": null}`}, cased},
		{
			"added in json", map[string]string{"tokenizer.json": tinyJSON(template, bertNorm, `, {"id": 13, "content": "world", "normalized": true}`)},
			[]int32{2, 5, 13, 1, 11, 9, 12, 4, 3},
		},
		{
			"added in config", map[string]string{
				"vocab.txt":             tiny,
				"tokenizer_config.json": `{"added_tokens_decoder": {"4": {"content": "[MASK]", "special": true}, "13": {"content": "Hello", "lstrip": false}}, "cls_token": {"content": "[CLS]"}}`,
			},
			[]int32{2, 13, 7, 8, 11, 9, 12, 4, 3},
		},
	} {
		t.Run("case="+test.name, func(t *testing.T) {
			tok, err := Load(writeFiles(t, test.files))
			if err != nil {
				t.Fatal(err)
			}
			e, err := tok.Encode(text, 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.IDs, test.want) {
				t.Errorf("ids %v, want %v", e.IDs, test.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, "no tokenizer in"},
		{"empty", map[string]string{"vocab.txt": ""}, "0 entries and no [UNK]"},
		{"no cls", map[string]string{"vocab.txt": "[UNK]\n[SEP]\n"}, "2 entries and no [CLS]"},
		{"no sep", map[string]string{"vocab.txt": "[UNK]\n[CLS]\n"}, "no [SEP]"},
		{"config", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": "{"}, "tokenizer_config.json: "},
		{"class", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"tokenizer_class": "RobertaTokenizerFast"}`}, "RobertaTokenizerFast is not supported"},
		{"side", map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"truncation_side": "up"}`}, `truncation_side is "up"`},
		{"old added", map[string]string{"vocab.txt": tiny, "added_tokens.json": `{"new": 13}`}, `adds "new"`},
		{"broken json", map[string]string{"tokenizer.json": "{"}, "tokenizer.json: not a WordPiece tokenizer"},
		{"unigram", map[string]string{"tokenizer.json": `{"model": {"type": "Unigram", "vocab": [["a", 0]]}}`}, "not a WordPiece tokenizer"},
		{"bpe", map[string]string{"tokenizer.json": `{"model": {"type": "BPE", "vocab": {}}}`}, `"BPE" is not supported`},
		{"normalizer", map[string]string{"tokenizer.json": tinyJSON(template, `{"type": "NFKC"}`, "")}, "not a BertNormalizer"},
		{"post", map[string]string{"tokenizer.json": tinyJSON(`{"type": "RobertaProcessing"}`, bertNorm, "")}, `"RobertaProcessing" is not supported`},
		{"frame", map[string]string{"tokenizer.json": tinyJSON(strings.Replace(template, `{"id": "B", "type_id": 1}`, `{"id": "B", "type_id": 0}`, 1), bertNorm, "")}, "the template is not BERT's"},
		{"negative", map[string]string{"tokenizer.json": tinyJSON(template, bertNorm, `, {"id": -1, "content": "x"}`)}, "ids count from 0"},
	} {
		t.Run("case="+test.name, func(t *testing.T) {
			_, err := Load(writeFiles(t, test.files))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestCheckVocab(t *testing.T) {
	tok, err := Load(writeFiles(t, map[string]string{"vocab.txt": tiny, "tokenizer_config.json": `{"model_max_length": 512}`}))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 13 || tok.MaxLength() != 512 || tok.Pad() != 0 {
		t.Errorf("size %d, longest %d, padding %d; want 13, 512, 0", tok.Size(), tok.MaxLength(), tok.Pad())
	}
	for size, want := range map[int]string{13: "", 16: "", 64: "", 128: "", 12: "only 12", 14: "only 13 ids", 30522: "only 13 ids"} {
		err := tok.CheckVocab(size)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("vocab_size %d: error %v, want %q", size, err, want)
		}
	}
	if _, err := tok.Encode("hello", 1); err == nil {
		t.Error("one token of room: no error")
	}
	if _, err := tok.EncodePair("hello", "", 2); err == nil {
		t.Error("two tokens of room for a pair: no error")
	}
}

func TestLongestFirst(t *testing.T) {
	for _, c := range []struct{ a, b, room, wantA, wantB int }{
		{3, 4, 7, 3, 4}, {3, 4, 6, 3, 3}, {4, 3, 6, 3, 3}, {9, 2, 6, 4, 2}, {2, 9, 6, 2, 4},
		{5, 5, 7, 3, 4}, {6, 5, 7, 4, 3}, {5, 6, 7, 3, 4}, {9, 9, 0, 0, 0}, {0, 9, 4, 0, 4}, {9, 0, 1, 1, 0},
	} {
		if a, b := longestFirst(c.a, c.b, c.room); a != c.wantA || b != c.wantB {
			t.Errorf("%d and %d into %d: %d and %d, want %d and %d", c.a, c.b, c.room, a, b, c.wantA, c.wantB)
		}
	}
}
