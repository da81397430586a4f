package report

import "strings"

// escapeMarkdown makes a text mean itself in Markdown, within a cell or a line.
func escapeMarkdown(s string) string {
	return strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`,
		"<", "&lt;", ">", "&gt;", "&", "&amp;", "\r\n", " ", "\n", " ", "\r", " ",
	).Replace(s)
}

// escapeLatex makes a text mean itself in LaTeX.
func escapeLatex(s string) string {
	return strings.NewReplacer(
		`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`, "_", `\_`, "%", `\%`,
		"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "<", `\textless{}`, ">", `\textgreater{}`,
		"±", `$\pm$`, "×", `$\times$`, "µ", `\textmu{}`, "\r\n", " ", "\n", " ", "\r", " ",
	).Replace(s)
}
