package experiment

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// rule is what the values of a key must be, beyond their type.
type rule struct {
	allows  func(value any) bool
	want    string // the rule in words
	example any    // a value that passes
}

// oneOf allows a few words; "" means absent and is not listed.
func oneOf(words ...string) rule {
	var quoted []string
	for _, w := range words {
		if w != "" {
			quoted = append(quoted, fmt.Sprintf("%q", w))
		}
	}
	last := len(quoted) - 1
	want := quoted[last]
	if last > 0 {
		want = strings.Join(quoted[:last], ", ") + " or " + want
	}
	return rule{
		allows:  func(v any) bool { return slices.Contains(words, v.(string)) },
		want:    want,
		example: strings.Trim(quoted[0], `"`),
	}
}

// someOf allows lists of a few words.
func someOf(words ...string) rule {
	one := oneOf(words...)
	return rule{
		allows: func(v any) bool {
			return !slices.ContainsFunc(v.([]string), func(w string) bool { return !one.allows(w) })
		},
		want:    "a list of " + one.want,
		example: []string{words[0]},
	}
}

// number is what a range limits.
type number interface{ int | float64 }

// atLeast allows finite numbers from low up.
func atLeast[T number](low, example T) rule {
	return rule{
		allows:  func(v any) bool { n := v.(T); return n >= low && !math.IsInf(float64(n), 0) },
		want:    fmt.Sprintf("%v or more", low),
		example: example,
	}
}

// above allows finite numbers greater than low.
func above(low, example float64) rule {
	return rule{
		allows:  func(v any) bool { n := v.(float64); return n > low && !math.IsInf(n, 0) },
		want:    fmt.Sprintf("more than %v", low),
		example: example,
	}
}

// share allows what can remain of a model.
func share() rule {
	return rule{
		allows:  func(v any) bool { n := v.(float64); return n > 0 && n <= 1 },
		want:    "a number above 0 and at most 1",
		example: 0.5,
	}
}

// batches allows batch sizes.
func batches() rule {
	return rule{
		allows: func(v any) bool {
			return !slices.ContainsFunc(v.([]int), func(n int) bool { return n < 1 })
		},
		want:    "batch sizes of 1 or more",
		example: []int{1, 32},
	}
}

// fileName allows what can name a folder anywhere.
func fileName() rule {
	plain := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	return rule{
		allows:  func(v any) bool { return plain.MatchString(v.(string)) },
		want:    "letters, digits, dots, dashes and underscores, for it names a folder",
		example: "quickstart",
	}
}

// someText allows any text but the empty one.
func someText(example string) rule {
	return rule{
		allows:  func(v any) bool { return strings.TrimSpace(v.(string)) != "" },
		want:    "a text that is not empty",
		example: example,
	}
}

func anything(example any) rule {
	return rule{allows: func(any) bool { return true }, example: example}
}

func anyText(example string) rule    { return anything(example) }
func anyList(example ...string) rule { return anything(example) }
func anySeed() rule                  { return anything(uint64(1)) }
func onOff() rule                    { return anything(true) }
