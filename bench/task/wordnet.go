package task

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"optin/bench/task/metric"
)

const (
	wordNetName   = "wordnet"
	wordNetFile   = "/usr/share/wordnet/data.noun"
	wordNetRemedy = "install the Debian package wordnet-base, or set path to data.noun of WordNet 3 (https://wordnet.princeton.edu)"
	nounFirst     = 3 // the lexicographer files of nouns are 03 to 28
	nounLast      = 28
)

// openWordNet asks for the lexicographer category of a noun, 26 classes, from
// its gloss. There is one example per synset of data.noun, in the file's
// order; its split is the 32-bit FNV-1a hash of the synset's 8-digit offset
// modulo 10: 0 is test, 1 dev, the rest train. The variable OPTIN_WORDNET may
// name another folder.
func openWordNet(cfg Config) (*Task, error) {
	path := orDefault(cfg.Path, orDefault(os.Getenv("OPTIN_WORDNET"), wordNetFile))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "data.noun")
	}
	return &Task{
		Kind: Text,
		Labels: []string{ // as in the manual page lexnames(5WN)
			"noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute", "noun.body", "noun.cognition",
			"noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group", "noun.location",
			"noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant", "noun.possession",
			"noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time",
		},
		Metrics: []string{metric.Accuracy, metric.F1},
		load: func(split string) (*Dataset, error) {
			f, err := os.Open(path)
			if err != nil {
				return nil, orMissing(err, "WordNet", path, wordNetRemedy)
			}
			defer f.Close()
			examples, err := parseWordNet(f, path, split, cfg.Words && split == Train)
			return memory(examples), err
		},
	}, nil
}

// parseWordNet reads the synsets of one split; with words each of them is a
// second example of its own. The lines of the licence begin with a blank.
func parseWordNet(r io.Reader, path, split string, words bool) ([]Example, error) {
	var out []Example
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineLimit)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, " ") {
			continue
		}
		bad := func(want string) error {
			return fmt.Errorf("%s: line %d: %s, want a synset as in data.noun: offset, file number, n, ... | gloss", path, n, want)
		}
		fields := strings.SplitN(line, " ", 4)
		if len(fields) < 4 || len(fields[0]) != 8 {
			return nil, bad("no 8-digit offset")
		}
		category, err := strconv.Atoi(fields[1])
		if err != nil || category < nounFirst || category > nounLast {
			return nil, bad(fmt.Sprintf("file number %q is not 03 to 28", fields[1]))
		}
		_, gloss, ok := strings.Cut(fields[3], "| ")
		if !ok {
			return nil, bad("no gloss")
		}
		if wordNetSplit(fields[0]) != split {
			continue
		}
		out = append(out, Example{Text: strings.TrimSpace(gloss), Label: category - nounFirst})
		if words {
			list, ok := synsetWords(fields[3])
			if !ok {
				return nil, bad("no list of words")
			}
			out = append(out, Example{Text: list, Label: category - nounFirst})
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", path, n+1, err)
	}
	return out, nil
}

// synsetWords is the words of a synset, from what stands behind its type: their
// number in hexadecimal, and each of them with a number of its own.
func synsetWords(rest string) (list string, ok bool) {
	fields := strings.Split(rest, " ")
	n, err := strconv.ParseUint(fields[0], 16, 8)
	if err != nil || n == 0 || len(fields) < 1+2*int(n) {
		return "", false
	}
	var words []string
	for i := range int(n) {
		words = append(words, strings.ReplaceAll(fields[1+2*i], "_", " "))
	}
	return strings.Join(words, ", "), true
}

// wordNetSplit is the split of a synset.
func wordNetSplit(offset string) string {
	h := fnv.New32a()
	h.Write([]byte(offset))
	switch h.Sum32() % 10 {
	case 0:
		return Test
	case 1:
		return Dev
	}
	return Train
}
