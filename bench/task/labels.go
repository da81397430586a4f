package task

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// MapLabels returns, for each label of the task, the model's output for it.
// names are the model's, by output (id2label of its config.json).
//
// Labels are found by name, for checkpoints of one task differ in their order
// (MNLI): case, blanks and punctuation aside. A model whose names are only
// LABEL_0, LABEL_1, ... or numbers is taken to have the task's order, or that
// of the key labels. Labels that are numbers are outputs.
func (t *Task) MapLabels(names []string) ([]int, error) {
	if t.Regression {
		if len(names) != 1 {
			return nil, fmt.Errorf("task %s is a regression, but the model has %d outputs: %s", t.Name, len(names), quoteSome(names))
		}
		return nil, nil
	}
	labels := t.Labels
	if unnamed(names) {
		order := labels
		if len(t.Config.Labels) > 0 {
			order = t.Config.Labels
		}
		if len(order) == len(names) {
			return match(labels, order)
		}
		return nil, fmt.Errorf("task %s has %d labels (%s), but the model has %d outputs without names", t.Name, len(labels), quoteSome(labels), len(names))
	}
	if out, ok := outputs(labels, len(names)); ok {
		return out, nil
	}
	out, err := match(labels, names)
	if err != nil && len(labels) == len(names) && synsets(labels) {
		return identity(len(labels)), nil // ImageNet's folders in order
	}
	if err != nil {
		return nil, fmt.Errorf("task %s: %w; the task's labels are %s, the model's are %s", t.Name, err, quoteSome(labels), quoteSome(names))
	}
	return out, nil
}

// unnamed reports whether a model's names say nothing: empty, LABEL_i or i.
func unnamed(names []string) bool {
	for i, n := range names {
		if n = strings.TrimPrefix(strings.ToUpper(n), "LABEL_"); n != "" && n != strconv.Itoa(i) {
			return false
		}
	}
	return true
}

// outputs takes labels that are numbers as outputs of the model.
func outputs(labels []string, n int) ([]int, bool) {
	out := make([]int, len(labels))
	for i, l := range labels {
		k, err := strconv.Atoi(l)
		if err != nil || k < 0 || k >= n {
			return nil, false
		}
		out[i] = k
	}
	return out, true
}

// match finds every label among the names: first by all but case, then by
// letters and digits alone.
func match(labels, names []string) ([]int, error) {
	out, err := matchBy(strings.ToLower, labels, names)
	if err != nil {
		if loose, e := matchBy(bareName, labels, names); e == nil {
			return loose, nil
		}
	}
	return out, err
}

func matchBy(key func(string) string, labels, names []string) ([]int, error) {
	index := map[string]int{}
	twice := map[string]bool{}
	for i, n := range names {
		k := key(n)
		_, seen := index[k]
		twice[k] = seen
		index[k] = i
	}
	out, used := make([]int, len(labels)), map[int]bool{}
	for i, l := range labels {
		k, ok := index[key(l)]
		switch {
		case !ok:
			return nil, fmt.Errorf("label %q is not one of the model's", l)
		case twice[key(l)] || used[k]:
			return nil, fmt.Errorf("label %q could be more than one of the model's", l)
		}
		out[i], used[k] = k, true
	}
	return out, nil
}

// bareName is a name's letters and digits in lower case.
func bareName(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// synsets reports whether all labels are WordNet ids, as ImageNet's folders.
func synsets(labels []string) bool {
	for _, l := range labels {
		if len(l) != 9 || l[0] != 'n' || strings.Trim(l[1:], "0123456789") != "" {
			return false
		}
	}
	return true
}

func identity(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
