package record

import (
	"encoding/json"
	"fmt"

	"optin/bench/disk"
)

// Save writes a record, with the version this program writes. The file is
// replaced in one step: whatever goes wrong, the old one stays whole. Its folder
// is made if it is not there.
func Save(path string, rec *Record) error {
	versioned := *rec
	versioned.Version = Version
	data, err := json.MarshalIndent(&versioned, "", "  ")
	if err != nil {
		return fmt.Errorf("record: %s: %w: a figure that is not a number must be left out", path, err)
	}
	return disk.WriteFile(path, append(oneLine(data), '\n'))
}

// oneLine puts every array of numbers of an indented JSON text on a line of its
// own, so that a record of many scores stays readable.
func oneLine(indented []byte) []byte {
	out := make([]byte, 0, len(indented))
	for i := 0; i < len(indented); i++ {
		c := indented[i]
		if c == '"' { // copy strings whole
			end := i + 1
			for indented[end] != '"' {
				if indented[end] == '\\' {
					end++
				}
				end++
			}
			out = append(out, indented[i:end+1]...)
			i = end
			continue
		}
		out = append(out, c)
		if c != '[' {
			continue
		}
		end := i + 1
		for end < len(indented) && isNumeric(indented[end]) {
			end++
		}
		if indented[end] != ']' {
			continue
		}
		for _, c := range indented[i+1 : end] {
			switch c {
			case '\n', ' ':
			case ',':
				out = append(out, ',', ' ')
			default:
				out = append(out, c)
			}
		}
		i = end - 1
	}
	return out
}

// isNumeric reports whether c is part of a list of numbers.
func isNumeric(c byte) bool {
	switch c {
	case ' ', '\n', ',', '.', '-', '+', 'e', 'E':
		return true
	}
	return c >= '0' && c <= '9'
}
