package experiment

import (
	"fmt"
	"strings"
)

// lineIndex is the line on which each table and key of a file begins, by its
// full name; an element of [[target]] is target.0, target.1 and so on.
type lineIndex map[string]int

// of is the line of a key; of one inside an inline table, that of the table.
func (x lineIndex) of(path string) int {
	for {
		if line, ok := x[path]; ok {
			return line
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return 1
		}
		path = path[:dot]
	}
}

// indexLines reads a file that the TOML parser took; it serves messages only,
// for which that parser forgets the lines of tables in arrays.
func indexLines(text string) lineIndex {
	x := lineIndex{}
	note := func(path string, line int) {
		if _, ok := x[path]; !ok {
			x[path] = line
		}
	}
	prefix, elements := "", map[string]int{}
	var state lineState
	for i, line := range strings.Split(text, "\n") {
		inside := state.inside()
		state.read(line)
		trimmed := strings.TrimSpace(line)
		switch {
		case inside:
		case strings.HasPrefix(trimmed, "[["):
			name, _, _ := strings.Cut(trimmed[2:], "]]")
			name = plainName(name)
			prefix = fmt.Sprintf("%s.%d.", name, elements[name])
			elements[name]++
			note(name, i+1)
			note(strings.TrimSuffix(prefix, "."), i+1)
		case strings.HasPrefix(trimmed, "["):
			name, _, _ := strings.Cut(trimmed[1:], "]")
			name = plainName(name)
			if array, rest, ok := strings.Cut(name, "."); ok && elements[array] > 0 {
				name = fmt.Sprintf("%s.%d.%s", array, elements[array]-1, rest)
			}
			prefix = name + "."
			note(name, i+1)
		default:
			if name, _, ok := strings.Cut(trimmed, "="); ok && !strings.HasPrefix(trimmed, "#") {
				note(prefix+plainName(name), i+1)
			}
		}
	}
	return x
}

// plainName is a dotted name without quotes and blanks.
func plainName(name string) string {
	return strings.NewReplacer(" ", "", "\t", "", `"`, "", "'", "").Replace(name)
}

// lineState follows what goes on over the end of a line: a long string or a list.
type lineState struct {
	quote string // that ends the string under way
	depth int    // of brackets, within a value
}

func (s *lineState) inside() bool { return s.quote != "" || s.depth > 0 }

func (s *lineState) read(line string) {
	header := !s.inside() && strings.HasPrefix(strings.TrimSpace(line), "[")
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		switch {
		case s.quote != "":
			if rest[0] == '\\' && s.quote[0] == '"' {
				i++
			} else if strings.HasPrefix(rest, s.quote) {
				i += len(s.quote) - 1
				s.quote = ""
			}
		case strings.HasPrefix(rest, `"""`), strings.HasPrefix(rest, "'''"):
			s.quote = rest[:3]
			i += 2
		case rest[0] == '"' || rest[0] == '\'':
			s.quote = rest[:1]
		case rest[0] == '#':
			i = len(line)
		case header:
		case rest[0] == '[' || rest[0] == '{':
			s.depth++
		case rest[0] == ']' || rest[0] == '}':
			s.depth--
		}
	}
	if len(s.quote) == 1 { // a short string ends with its line
		s.quote = ""
	}
}
