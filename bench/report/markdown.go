package report

import (
	"fmt"
	"path"
	"strings"

	"optin/bench/record"
)

// markdownReport is the whole report, pictures by reference.
func markdownReport(rec *record.Record, pictures []picture) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	section := func(t table) { line("### %s\n\n%s", escapeMarkdown(t.title), t.markdown()) }

	line("# %s\n", escapeMarkdown(orNot(rec.Name)))
	line("%s.\n", verdict(rec))
	line("## Dense models\n")
	models := modelTable(rec)
	line("%s", models.markdown())
	if t := overallTable(rec); len(t.rows) > 0 {
		section(t)
	}
	for i := range rec.Models {
		m := &rec.Models[i]
		line("## %s on %s\n", escapeMarkdown(m.Name), escapeMarkdown(m.Task))
		for _, p := range pictures {
			if p.model == m.Name && p.main {
				line("![%s](%s.png)\n", escapeMarkdown(p.title), p.name)
			}
		}
		if others := otherPictures(pictures, m.Name); others != "" {
			line("More plots: %s.\n", others)
		}
		for _, t := range modelTables(rec, m) {
			section(t)
		}
	}
	section(timeTable(rec))
	line("## Warnings\n")
	if list := warnings(rec); len(list) > 0 {
		for _, w := range list {
			line("- %s", escapeMarkdown(w))
		}
		line("")
	} else {
		line("None.\n")
	}
	t := provenance(rec)
	line("## Provenance\n\n%s", t.markdown())
	line("## Experiment file\n")
	if len(rec.Overrides) > 0 {
		line("With, from the command line, %s.\n", escapeMarkdown(strings.Join(rec.Overrides, ", ")))
	}
	f := fence(rec.Config)
	line("%stoml\n%s\n%s", f, strings.TrimRight(rec.Config, "\n"), f)
	return b.String()
}

// otherPictures links the pictures of a model that are not shown.
func otherPictures(pictures []picture, model string) string {
	var links []string
	for _, p := range pictures {
		if p.model == model && !p.main {
			links = append(links, fmt.Sprintf("[%s](%s.png)", escapeMarkdown(p.short), p.name))
		}
	}
	return strings.Join(links, ", ")
}

// fence is longer than any run of its character in a text.
func fence(text string) string {
	f := "```"
	for strings.Contains(text, f) {
		f += "`"
	}
	return f
}

// picture is a plot in both formats.
type picture struct {
	name  string // of its files, under the report's folder, without the ending
	model string
	title string
	short string // for a link
	main  bool   // shown, not only linked
	png   []byte
	svg   []byte
}

// fileFor names a picture's files by words that may hold anything.
func fileFor(words ...string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, strings.Join(words, "-"))
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	return path.Join("plots", strings.Trim(name, "-."))
}
