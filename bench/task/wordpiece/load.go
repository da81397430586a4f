package wordpiece

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of a model's folder that this package reads.
const (
	vocabFile     = "vocab.txt"
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	addedFile     = "added_tokens.json"
)

// Load reads the tokenizer of a model's folder: tokenizer.json where there is
// one, else vocab.txt. Keys of tokenizer_config.json win over tokenizer.json,
// as they do in Hugging Face's library.
func Load(dir string) (*Tokenizer, error) {
	cfg, err := readConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, tokenizerFile)
	t, err := loadJSON(path, cfg)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, vocabFile)
		t, err = loadVocab(path, cfg)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no tokenizer in %s: it needs %s or %s from the model's own files", dir, vocabFile, tokenizerFile)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// config is tokenizer_config.json.
type config struct {
	Lower       *bool                 `json:"do_lower_case"`
	Strip       *bool                 `json:"strip_accents"`
	Chinese     *bool                 `json:"tokenize_chinese_chars"`
	MaxLength   float64               `json:"model_max_length"` // 1e30 where nobody set it
	Truncation  string                `json:"truncation_side"`
	CLS         tokenName             `json:"cls_token"`
	SEP         tokenName             `json:"sep_token"`
	UNK         tokenName             `json:"unk_token"`
	Pad         tokenName             `json:"pad_token"`
	AddedTokens map[string]AddedToken `json:"added_tokens_decoder"` // id -> token
	Class       string                `json:"tokenizer_class"`
}

// tokenName is a token written as a string or as an object with its content.
type tokenName string

func (n *tokenName) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil { // null leaves it empty
		*n = tokenName(s)
		return nil
	}
	var o struct {
		Content string `json:"content"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return errors.New("a token is a string or an object with a content")
	}
	*n = tokenName(o.Content)
	return nil
}

// readConfig reads tokenizer_config.json; a folder without one has defaults.
func readConfig(path string) (config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, err
	}
	c, err := parseSettings(b)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parseSettings reads tokenizer_config.json and refuses other tokenizers.
func parseSettings(b []byte) (config, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("not the JSON object that belongs there (%v); download it again", err)
	}
	if !isWordPiece(c.Class) {
		return c, fmt.Errorf("tokenizer_class %s is not supported; only BERT's WordPiece is (BertTokenizer)", c.Class)
	}
	if c.Truncation != "" && c.Truncation != "left" && c.Truncation != "right" {
		return c, fmt.Errorf("truncation_side is %q, want left or right", c.Truncation)
	}
	return c, nil
}

// isWordPiece reports whether a class does what BertTokenizer does.
func isWordPiece(class string) bool {
	switch strings.TrimSuffix(class, "Fast") {
	case "", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer",
		"PreTrainedTokenizer", "TokenizersBackend": // the last two name no model
		return true
	}
	return false
}

// options returns what the config says, over the flags given.
func (c config) options(f Flags, strip *bool) Options {
	if c.Lower != nil {
		f.LowerCase = *c.Lower
	}
	if c.Chinese != nil {
		f.Chinese = *c.Chinese
	}
	if c.Strip != nil {
		strip = c.Strip
	}
	f.StripAccents = f.LowerCase
	if strip != nil {
		f.StripAccents = *strip
	}
	o := Options{
		Flags: f, CLS: string(c.CLS), SEP: string(c.SEP), Unknown: string(c.UNK), Pad: string(c.Pad),
		LeftSide: c.Truncation == "left",
	}
	if c.MaxLength > 0 && c.MaxLength < 1<<24 {
		o.MaxLength = int(c.MaxLength)
	}
	return o
}

// loadVocab reads vocab.txt: one entry a line, its id the line's number. Of
// equal lines the last one counts, as everywhere.
func loadVocab(path string, cfg config) (*Tokenizer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	ids := map[string]int32{}
	for n := int32(0); len(b) > 0; n++ {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		ids[string(bytes.TrimSuffix(line, []byte{'\r'}))] = n
	}
	opt := cfg.options(Flags{CleanText: true, Chinese: true, LowerCase: true}, nil)
	if err := checkAddedFile(filepath.Join(filepath.Dir(path), addedFile), cfg, ids); err != nil {
		return nil, err
	}
	if len(cfg.AddedTokens) > 0 {
		for id, a := range cfg.AddedTokens {
			if _, err := fmt.Sscanf(id, "%d", &a.ID); err != nil {
				return nil, fmt.Errorf("added_tokens_decoder of %s: id %q is not a number", configFile, id)
			}
			opt.Added = append(opt.Added, a)
		}
	}
	return New(ids, opt)
}

// checkAddedFile refuses the old added_tokens.json where it adds something:
// it does not say how its tokens are matched.
func checkAddedFile(path string, cfg config, ids map[string]int32) error {
	b, err := os.ReadFile(path)
	if err != nil || len(cfg.AddedTokens) > 0 {
		return nil
	}
	var added map[string]int32
	if err := json.Unmarshal(b, &added); err != nil {
		return fmt.Errorf("%s: %w", addedFile, err)
	}
	for token := range added {
		if _, ok := ids[token]; !ok {
			return fmt.Errorf("%s beside it adds %q in a form that is not supported: load and save the tokenizer with Hugging Face transformers to get a %s", addedFile, token, tokenizerFile)
		}
	}
	return nil
}

// document is tokenizer.json.
type document struct {
	Added      []AddedToken `json:"added_tokens"`
	Normalizer *struct {
		Type    string `json:"type"`
		Clean   *bool  `json:"clean_text"`
		Chinese *bool  `json:"handle_chinese_chars"`
		Strip   *bool  `json:"strip_accents"`
		Lower   *bool  `json:"lowercase"`
	} `json:"normalizer"`
	PreTokenizer *struct {
		Type string `json:"type"`
	} `json:"pre_tokenizer"`
	PostProcessor *postProcessor `json:"post_processor"`
	Model         struct {
		Type      string           `json:"type"`
		Unknown   string           `json:"unk_token"`
		Prefix    *string          `json:"continuing_subword_prefix"`
		WordLimit int              `json:"max_input_chars_per_word"`
		Vocab     map[string]int32 `json:"vocab"`
	} `json:"model"`
}

// loadJSON reads tokenizer.json.
func loadJSON(path string, cfg config) (*Tokenizer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseJSON(b, cfg)
}

func parseJSON(b []byte, cfg config) (*Tokenizer, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		// A vocabulary that is a list, as Unigram has, fails here too.
		return nil, fmt.Errorf("not a WordPiece tokenizer: %w", err)
	}
	if d.Model.Type != "WordPiece" && d.Model.Type != "" {
		return nil, fmt.Errorf("model type %q is not supported, only WordPiece", d.Model.Type)
	}
	if d.Normalizer == nil || d.Normalizer.Type != "BertNormalizer" {
		return nil, errors.New("the normalizer is not a BertNormalizer: only BERT's tokenizer is supported")
	}
	if d.PreTokenizer == nil || d.PreTokenizer.Type != "BertPreTokenizer" {
		return nil, errors.New("the pre_tokenizer is not a BertPreTokenizer: only BERT's tokenizer is supported")
	}
	n := d.Normalizer
	opt := cfg.options(Flags{
		CleanText: orTrue(n.Clean), Chinese: orTrue(n.Chinese), LowerCase: orTrue(n.Lower),
	}, n.Strip)
	if err := d.PostProcessor.frame(&opt); err != nil {
		return nil, err
	}
	opt.Unknown, opt.WordLimit = d.Model.Unknown, d.Model.WordLimit
	if p := d.Model.Prefix; p != nil {
		if *p == "" {
			return nil, errors.New("an empty continuing_subword_prefix is not supported")
		}
		opt.Prefix = *p
	}
	opt.Added = d.Added
	if opt.Added == nil {
		opt.Added = []AddedToken{}
	}
	return New(d.Model.Vocab, opt)
}

func orTrue(b *bool) bool { return b == nil || *b }
