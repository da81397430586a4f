package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"optin/bench/record"
)

// revision says which program wrote the record.
func revision(rec *record.Record) string {
	p := rec.Provenance
	text := "optin " + orNot(p.Version) + ", revision " + orNot(p.Revision)
	if p.Dirty {
		text += " with changes that are in no revision"
	}
	return text
}

// provenance is a table of what produced the record.
func provenance(rec *record.Record) table {
	p := rec.Provenance
	t := table{title: "Provenance", header: []string{"What", "Value"}, words: 2}
	t.add("Program", revision(rec))
	when := notAvailable
	if !p.Time.IsZero() {
		when = p.Time.UTC().Format("2006-01-02 15:04 UTC")
	}
	t.add("Begun", when)
	t.add("Hash of the plan", orNot(p.ConfigHash))
	var seeds []string
	for _, name := range slices.Sorted(maps.Keys(p.Seeds)) {
		seeds = append(seeds, fmt.Sprintf("%s %d", name, p.Seeds[name]))
	}
	t.add("Seeds", orNot(strings.Join(seeds, ", ")))
	t.add("Device", orNot(p.Device))
	if p.Precision != "" {
		t.add("Evaluated and timed in", p.Precision+"; scores, searches, rebuilds and proofs in float32")
	}
	t.add("Workers", fmt.Sprint(p.Threads))
	t.add("Go", orNot(p.Go))
	var libraries []string
	for _, name := range slices.Sorted(maps.Keys(p.Libraries)) {
		libraries = append(libraries, name+" "+p.Libraries[name])
	}
	t.add("Libraries", orNot(strings.Join(libraries, ", ")))
	m := p.Machine
	t.add("Processor", orNot(m.CPU))
	t.add("Cores", fmt.Sprintf("%d physical, %d logical, %d usable", m.Cores, m.Threads, m.Usable))
	t.add("SIMD", orNot(strings.Join(m.SIMD, " ")))
	memory := &m.MemoryBytes
	if m.MemoryBytes == 0 {
		memory = nil
	}
	t.add("Memory", bytesOf(memory))
	t.add("System", orNot(strings.TrimSpace(m.OS+" "+m.Kernel+" "+m.Arch)))
	if m.Hypervisor {
		t.add("Virtual machine", "yes: neighbours may take time away")
	}
	if text := telemetryOf(rec); text != "" {
		t.add("Watched while timing", text)
	}
	return t
}

func orNot(s string) string {
	if s == "" {
		return notAvailable
	}
	return s
}

// warnings gathers those of a record, each once.
func warnings(rec *record.Record) []string {
	var out []string
	add := func(place, text string) {
		if place != "" {
			text = place + ": " + text
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, w := range rec.Warnings {
		add("", w)
	}
	for _, s := range rec.Scores {
		for _, w := range s.Warnings {
			add(strings.TrimSpace(s.Model+" "+s.Method+" "+s.Variant), w)
		}
	}
	for _, r := range rec.Runs {
		place := strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Model, r.Method, r.Variant)) + " keep " + three(r.Keep)
		for _, w := range r.Verdict.Reasons {
			add(place, w)
		}
	}
	for _, m := range rec.Models {
		if text := doubtful(rec, m.Name); text != "" {
			add(m.Name, text)
		}
	}
	return out
}

// doubtful sums up the warnings of a model's timings: on a busy machine there
// are many, and each is in timings.csv.
func doubtful(rec *record.Record, model string) string {
	all, with := 0, 0
	var kinds []string
	for _, r := range rec.Runs {
		if r.Model != model {
			continue
		}
		for _, t := range r.Timings {
			all++
			if len(t.Warnings) > 0 {
				with++
			}
			for _, w := range t.Warnings {
				if !slices.Contains(kinds, w.Kind) {
					kinds = append(kinds, w.Kind)
				}
			}
		}
	}
	if with == 0 {
		return ""
	}
	slices.Sort(kinds)
	return fmt.Sprintf("%d of %d timings carry warnings (%s): see timings.csv", with, all, strings.Join(kinds, ", "))
}

// verdict is one line on the whole record.
func verdict(rec *record.Record) string {
	good := 0
	for _, r := range rec.Runs {
		if r.Verdict.Valid {
			good++
		}
	}
	switch n := len(rec.Runs); {
	case n == 0:
		return "INVALID: there are no runs"
	case good < n:
		return fmt.Sprintf("INVALID: %d of %d runs are not valid", n-good, n)
	default:
		return fmt.Sprintf("VALID: all %d runs", n)
	}
}
