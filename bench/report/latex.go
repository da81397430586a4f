package report

import (
	"strings"

	"optin/bench/record"
)

// latexTables has every table, to be read into a document that uses booktabs.
func latexTables(rec *record.Record) string {
	var b strings.Builder
	b.WriteString("% Tables of the experiment " + oneLine(rec.Name) + "; needs \\usepackage{booktabs}\n% " +
		oneLine(revision(rec)) + "\n")
	for _, t := range tables(rec) {
		b.WriteString("\n" + t.latex())
	}
	return b.String()
}

// oneLine keeps a text within a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
