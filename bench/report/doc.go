// Package report turns a [record.Record] into what people read: tables for the
// terminal, Markdown, CSV and LaTeX, and plots as PNG and SVG. It computes
// means, shares and ratios of stored figures and runs nothing. The same record
// gives the same bytes.
//
//	files, err := report.Write(rec, "results/quickstart")
//	err = report.Print(os.Stdout, rec)
package report
