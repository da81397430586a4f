package wordpiece

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AddedToken is a token that is matched in the text before the vocabulary is,
// as tokenizer.json writes it.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no letter is beside it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	Normalized bool   `json:"normalized"`  // matched in the normalised text
	Special    bool   `json:"special"`
}

// matcher finds added tokens: at each place the longest that fits.
type matcher struct {
	tokens []AddedToken // longest content first
	first  [256]bool    // the bytes a content begins with
}

func newMatcher(tokens []AddedToken) *matcher {
	m := &matcher{}
	for _, t := range tokens {
		if t.Content == "" {
			continue
		}
		m.tokens = append(m.tokens, t)
		m.first[t.Content[0]] = true
	}
	sort.SliceStable(m.tokens, func(i, j int) bool {
		return len(m.tokens[i].Content) > len(m.tokens[j].Content)
	})
	return m
}

// cut calls text for what is between added tokens and token for each of them,
// in order.
func (m *matcher) cut(s string, text func(string), token func(int32)) {
	done := 0
	for i := 0; i < len(s); {
		t := m.at(s, i)
		if t == nil {
			i++
			continue
		}
		start, end := i, i+len(t.Content)
		i = end
		if t.SingleWord && (endsInWord(s[:start]) || beginsWithWord(s[end:])) {
			continue
		}
		if t.LStrip {
			start = max(done, len(strings.TrimRightFunc(s[:start], isSpace)))
		}
		if t.RStrip {
			end = len(s) - len(strings.TrimLeftFunc(s[end:], isSpace))
			i = max(i, end)
		}
		if start > done {
			text(s[done:start])
		}
		token(t.ID)
		done = end
	}
	if done < len(s) {
		text(s[done:])
	}
}

// at returns the longest token whose content begins at s[i], or nil.
func (m *matcher) at(s string, i int) *AddedToken {
	if !m.first[s[i]] {
		return nil
	}
	for k := range m.tokens {
		if strings.HasPrefix(s[i:], m.tokens[k].Content) {
			return &m.tokens[k]
		}
	}
	return nil
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWordRune(r)
}

func beginsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWordRune(r)
}

// isWordRune is \w of the regular expressions that the fast tokenizer uses.
func isWordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
