package experiment

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// entry is what a file or an override says of one key.
type entry struct {
	value any
	where string // file and line, or the override
}

// settings are entries by the full names of their keys.
type settings map[string]entry

// source is an experiment file taken apart: known keys only, of any value.
type source struct {
	file    string
	top     settings
	targets []settings // at least one
	faults  []error

	tables map[string][]string // names of the keys of each table
	grid   bool                // the file may hold [[target]]
	lines  lineIndex
}

// fail notes that an entry is wrong.
func (s *source) fail(e entry, format string, args ...any) {
	s.faults = append(s.faults, fmt.Errorf("%s: %s", e.where, fmt.Sprintf(format, args...)))
}

// require notes that a key is missing that has no default.
func (s *source) require(k key) {
	if k.required() {
		s.fail(entry{where: s.file}, "%s is missing: it is the %s, such as %s", k.path(), k.doc, k.example())
	}
}

func (s *source) err() error { return errors.Join(s.faults...) }

// readSource takes a file apart that may hold the given keys, and where grid is
// set, targets. The error is about syntax; other faults are left in the source.
func readSource(file string, text []byte, overrides []string, known []key, grid bool) (*source, error) {
	var raw map[string]any
	if _, err := toml.Decode(string(text), &raw); err != nil {
		if e, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, fmt.Errorf("%s:%d: %s", file, e.Position.Line, e.Message)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s := &source{file: file, top: settings{}, tables: map[string][]string{}, grid: grid, lines: indexLines(string(text))}
	for _, k := range known {
		s.tables[k.table] = append(s.tables[k.table], k.name)
	}

	shared := settings{}
	var overlays []settings
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		switch {
		case name == "target" && grid:
			overlays = s.readTargets(raw[name])
		case slices.Contains(s.tables[""], name):
			s.top[name] = entry{raw[name], s.at(name)}
		default:
			s.readTable(shared, "", name, raw[name])
		}
	}
	if len(overlays) == 0 {
		overlays = []settings{{}}
	}
	forced := settings{}
	for _, o := range overrides {
		s.override(forced, o, overlays)
	}
	for _, overlay := range overlays {
		merged := maps.Clone(shared)
		maps.Copy(merged, overlay)
		maps.Copy(merged, forced)
		s.targets = append(s.targets, merged)
	}
	return s, s.err()
}

// at is the place of a key of the file.
func (s *source) at(path string) string {
	return fmt.Sprintf("%s:%d", s.file, s.lines.of(path))
}

// readTargets reads the array [[target]]: each element holds tables that win
// over the file's.
func (s *source) readTargets(value any) []settings {
	var list []map[string]any
	switch value := value.(type) {
	case []map[string]any:
		list = value
	case []any:
		for _, v := range value {
			if t, ok := v.(map[string]any); ok {
				list = append(list, t)
			}
		}
		if len(list) != len(value) {
			list = nil
		}
	}
	if len(list) == 0 {
		s.fail(entry{where: s.at("target")}, "target holds %s, want tables: begin each with a line [[target]]", describe(value))
	}
	var out []settings
	for i, t := range list {
		place := fmt.Sprintf("target.%d.", i)
		overlay := settings{}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if slices.Contains(s.tables[""], name) {
				s.fail(entry{where: s.at(place + name)}, "%s holds for the whole file: put it above the first table", name)
				continue
			}
			s.readTable(overlay, place, name, t[name])
		}
		out = append(out, overlay)
	}
	return out
}

// readTable adds the keys of one table. A text instead of the tables model and
// task is short for the first of their keys.
func (s *source) readTable(into settings, place, table string, value any) {
	where := s.at(place + table)
	known, ok := s.tables[table]
	if !ok || table == "" {
		s.fail(entry{where: where}, "unknown key %s%s", table, s.suggest(table))
		return
	}
	keys, ok := value.(map[string]any)
	if !ok {
		if table == "model" || table == "task" {
			into[table+"."+known[0]] = entry{value, where}
			return
		}
		s.fail(entry{where: where}, "%s holds %s, want a table: [%s] on a line of its own, its keys below", table, describe(value), table)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		path := table + "." + name
		e := entry{keys[name], s.at(place + path)}
		if !slices.Contains(known, name) {
			s.fail(e, "unknown key %s%s", path, s.suggest(path))
			continue
		}
		into[path] = e
	}
}

// differ says whether targets set a key to different values.
func differ(overlays []settings, path string) bool {
	return slices.ContainsFunc(overlays, func(o settings) bool { return !reflect.DeepEqual(o[path].value, overlays[0][path].value) })
}

// override applies one key=value.
func (s *source) override(forced settings, text string, overlays []settings) {
	path, value, ok := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	e := entry{where: "--set " + text}
	if !ok || path == "" {
		s.fail(e, "want a key and a value, such as --set score.samples=32")
		return
	}
	e.value = bareValue(strings.TrimSpace(value))
	if path == "model" || path == "task" {
		path += "." + s.tables[path][0]
	}
	table, name, dotted := strings.Cut(path, ".")
	if !dotted {
		table, name = "", path
	}
	switch {
	case !slices.Contains(s.tables[table], name):
		s.fail(e, "unknown key %s%s", path, s.suggest(path))
	case (path == "model.path" || path == "task.name" || path == "task.path") && differ(overlays, path):
		s.fail(e, "%s differs between the targets of %s: edit the file, or write one for this model", path, s.file)
	case table == "":
		s.top[path] = e
	default:
		forced[path] = e
	}
}

// bareValue reads a value in TOML's syntax, in which text may lack its quotes.
func bareValue(text string) any {
	var doc struct{ V any }
	if _, err := toml.Decode("V = "+text, &doc); err == nil && !strings.Contains(text, "\n") {
		return doc.V
	}
	inner, opened := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed || strings.ContainsAny(inner, `[]"'`) {
		return text
	}
	list := []any{}
	for item := range strings.SplitSeq(inner, ",") {
		list = append(list, bareValue(strings.TrimSpace(item)))
	}
	return list
}
