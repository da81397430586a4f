package model

import (
	"encoding/json"
	"fmt"
)

// keys reads config.json key by key and remembers the first that was wrong.
type keys struct {
	raw map[string]json.RawMessage
	err error
}

func (k *keys) fail(key, format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...))
	}
}

// value decodes a key into dst; absent or null leaves dst as it is.
func (k *keys) value(key string, dst any) {
	text, ok := k.raw[key]
	if !ok || string(text) == "null" {
		return
	}
	if err := json.Unmarshal(text, dst); err != nil {
		k.fail(key, "%.40s is not what is expected there (%v)", text, err)
	}
}

func (k *keys) text(key, otherwise string) string {
	k.value(key, &otherwise)
	return otherwise
}

// maxSize bounds every size in config.json, so that products of two fit in an
// int64 with room to spare.
const maxSize = 1 << 24

// maxLayers and maxLabels bound what is kept in memory for each.
const (
	maxLayers = 1 << 12
	maxLabels = 1 << 20
)

// size is a positive integer; otherwise 0 makes the key required.
func (k *keys) size(key string, otherwise int) int { return k.sizeTo(key, otherwise, maxSize) }

func (k *keys) sizeTo(key string, otherwise, most int) int {
	if _, ok := k.raw[key]; !ok && otherwise == 0 {
		k.fail(key, "is missing")
		return 1
	}
	n := otherwise
	k.value(key, &n)
	if n < 1 || n > most {
		k.fail(key, "%d; want 1 to %d", n, most)
		return 1
	}
	return n
}

// square is a key with one size or [height, width].
func (k *keys) square(key string, otherwise int) (height, width int) {
	var pair []int
	if text := k.raw[key]; len(text) > 0 && text[0] == '[' {
		k.value(key, &pair)
		if len(pair) != 2 || min(pair[0], pair[1]) < 1 || max(pair[0], pair[1]) > maxSize {
			k.fail(key, "%s; want a size or [height, width]", text)
			return 1, 1
		}
		return pair[0], pair[1]
	}
	n := k.size(key, otherwise)
	return n, n
}

// perLayer is a list with one count (0 or more) per layer, or the same for all.
func (k *keys) perLayer(key string, layers, otherwise int) []int {
	var counts []int
	k.value(key, &counts)
	if counts == nil {
		for range layers {
			counts = append(counts, otherwise)
		}
	}
	if len(counts) != layers {
		k.fail(key, "%d counts for %d layers", len(counts), layers)
	}
	for _, n := range counts {
		if n < 0 || n > maxSize {
			k.fail(key, "a layer with %d; want 0 to %d", n, maxSize)
		}
	}
	return counts
}
