package experiment

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// suggest is the end of a message about an unknown key: the key that was
// probably meant, else all that may stand there.
func (s *source) suggest(path string) string {
	best, least := "", 1+len(path)/3
	offer := func(candidate string, distance int) {
		if distance < least {
			best, least = candidate, distance
		}
	}
	name := path[strings.LastIndex(path, ".")+1:]
	for _, table := range slices.Sorted(maps.Keys(s.tables)) {
		if table != "" {
			offer("["+table+"]", levenshtein.ComputeDistance(path, table))
		}
		for _, k := range s.tables[table] {
			full := strings.TrimPrefix(table+"."+k, ".")
			offer(full, levenshtein.ComputeDistance(path, full))
			if name == k { // right name, wrong table
				offer(full, 1)
			}
		}
	}
	if best != "" {
		return fmt.Sprintf(": did you mean %s?", best)
	}
	table, _, _ := strings.Cut(path, ".")
	if keys := s.tables[table]; keys != nil {
		return fmt.Sprintf(": [%s] takes %s", table, strings.Join(keys, ", "))
	}
	var tables []string
	for _, t := range slices.Sorted(maps.Keys(s.tables)) {
		if t != "" {
			tables = append(tables, "["+t+"]")
		}
	}
	if s.grid {
		tables = append(tables, "and [[target]]")
	}
	return fmt.Sprintf(": a file takes %s and the tables %s", strings.Join(s.tables[""], ", "), strings.Join(tables, ", "))
}
