package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// table is a table in no format yet. Its cells are plain text.
type table struct {
	title  string
	note   string // how to read it
	header []string
	words  int // leading columns of words, set to the left; the others are numbers
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// terminal draws the table with lines.
func (t *table) terminal(b *strings.Builder) error {
	align := make(tw.Alignment, len(t.header))
	for i := range align {
		align[i] = tw.AlignRight
		if i < t.words {
			align[i] = tw.AlignLeft
		}
	}
	fmt.Fprintf(b, "%s\n", t.title)
	out := tablewriter.NewTable(b,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Symbols: tw.NewSymbols(tw.StyleRounded)})),
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
	)
	out.Header(t.header)
	if err := out.Bulk(t.grouped()); err != nil {
		return err
	}
	if err := out.Render(); err != nil {
		return err
	}
	if t.note != "" {
		fmt.Fprintf(b, "%s\n", t.note)
	}
	b.WriteByte('\n')
	return nil
}

// grouped are the rows with words that the row above has too left out, so that
// groups stand out.
func (t *table) grouped() [][]string {
	out := make([][]string, len(t.rows))
	for i, row := range t.rows {
		out[i] = slices.Clone(row)
		for j := 0; i > 0 && j < t.words && row[j] == t.rows[i-1][j]; j++ {
			out[i][j] = ""
		}
	}
	return out
}

// markdown writes the table as GitHub understands it, without the title.
func (t *table) markdown() string {
	var b strings.Builder
	row := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + escapeMarkdown(c) + " ")
		}
		b.WriteString("|\n")
	}
	row(t.header)
	for i := range t.header {
		if i < t.words {
			b.WriteString("| :-- ")
		} else {
			b.WriteString("| --: ")
		}
	}
	b.WriteString("|\n")
	for _, r := range t.rows {
		row(r)
	}
	if t.note != "" {
		b.WriteString("\n" + escapeMarkdown(t.note) + "\n")
	}
	return b.String()
}

// latex writes the table as a floating one with booktabs' rules.
func (t *table) latex() string {
	var b strings.Builder
	row := func(cells []string) {
		for i, c := range cells {
			if i > 0 {
				b.WriteString(" & ")
			}
			b.WriteString(escapeLatex(c))
		}
		b.WriteString(" \\\\\n")
	}
	caption := strings.TrimSuffix(t.title, ".") + "."
	if t.note != "" {
		caption += " " + t.note
	}
	fmt.Fprintf(&b, "\\begin{table}[ht]\n\\centering\n\\caption{%s}\n\\begin{tabular}{%s%s}\n\\toprule\n", escapeLatex(caption),
		strings.Repeat("l", t.words), strings.Repeat("r", len(t.header)-t.words))
	row(t.header)
	b.WriteString("\\midrule\n")
	for _, r := range t.rows {
		row(r)
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
	return b.String()
}
