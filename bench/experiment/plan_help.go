package experiment

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteKeys describes every key of an experiment file, in lines of at most 100
// characters.
func WriteKeys(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(`An experiment file is TOML. A list where one value is expected makes a grid: every combination is
run once. [[target]] pairs each of several models with its task; it may hold any table, whose keys
win over the file's for that model. A text is short for a table's first key:

    [[target]]
    model = "experiments/models/deit-fashion"
    task  = "fashion-mnist"

    [[target]]
    model = "experiments/models/bert-wordnet"
    task  = "wordnet"
    score = { samples = 128 }

Any key can be given on the command line, where it wins: --set score.samples=32

Above the first table
`)
	for _, k := range new(Plan).keys() {
		k.write(&b)
	}
	table := ""
	for _, k := range new(Run).keys(0) {
		if k.table != table {
			table = k.table
			fmt.Fprintf(&b, "\n[%s]\n", table)
		}
		k.write(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// write adds what is to be said of one key.
func (k key) write(b *bytes.Buffer) {
	sentences := []string{k.doc}
	if k.rule.want != "" {
		sentences = append(sentences, k.rule.want)
	}
	switch {
	case k.instead != "":
		sentences = append(sentences, "default: "+k.instead)
	case literal(k.standard) != `""`:
		sentences = append(sentences, "default "+literal(k.standard))
	}
	if k.language != nil {
		l, v := literal(k.language), literal(k.vision)
		if l == v {
			sentences = append(sentences, "reference and reference-vision "+l)
		} else {
			sentences = append(sentences, "reference "+l+", reference-vision "+v)
		}
	}
	if k.required() {
		sentences = append(sentences, "required")
	}
	for i, s := range sentences {
		sentences[i] = strings.ToUpper(s[:1]) + s[1:] + "."
	}
	lead := fmt.Sprintf("  %-25s", k.name)
	for _, line := range wrap(strings.Join(sentences, " "), 100-len(lead)) {
		fmt.Fprintf(b, "%s %s\n", lead, line)
		lead = strings.Repeat(" ", len(lead))
	}
}

// wrap cuts a text into lines between its words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) >= width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
