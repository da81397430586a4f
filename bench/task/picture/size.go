package picture

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxSide bounds every side of an image, in pixels: what is larger is a
// mistake or a trap.
const maxSide = 1 << 15

// Size is a size as preprocessor_config.json writes it: a number (a square),
// {"height", "width"}, or {"shortest_edge"}, which keeps the shape.
type Size struct {
	Height, Width int
	ShortestEdge  int
}

// UnmarshalJSON reads any of the three forms.
func (s *Size) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var side int
	if json.Unmarshal(b, &side) == nil {
		*s = Size{Height: side, Width: side}
		return nil
	}
	var o struct {
		Height   int `json:"height"`
		Width    int `json:"width"`
		Shortest int `json:"shortest_edge"`
		Longest  int `json:"longest_edge"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return errors.New("a size is a number, {height, width} or {shortest_edge}")
	}
	if o.Longest != 0 {
		return errors.New("the size key longest_edge is not supported; use {height, width} or {shortest_edge}")
	}
	*s = Size{Height: o.Height, Width: o.Width, ShortestEdge: o.Shortest}
	return nil
}

// MarshalJSON writes the form that was read.
func (s Size) MarshalJSON() ([]byte, error) {
	if s.ShortestEdge != 0 {
		return json.Marshal(map[string]int{"shortest_edge": s.ShortestEdge})
	}
	return json.Marshal(map[string]int{"height": s.Height, "width": s.Width})
}

// of returns the size that an image is to have.
func (s Size) of(m *Image) (width, height int) {
	if s.ShortestEdge == 0 {
		return s.Width, s.Height
	}
	if m.Width <= m.Height {
		return s.ShortestEdge, s.ShortestEdge * m.Height / m.Width
	}
	return s.ShortestEdge * m.Width / m.Height, s.ShortestEdge
}

// check says what is wrong with a size.
func (s Size) check(key string) error {
	if s.ShortestEdge != 0 {
		if s.ShortestEdge < 1 || s.ShortestEdge > maxSide {
			return fmt.Errorf("%s: shortest_edge %d is not between 1 and %d", key, s.ShortestEdge, maxSide)
		}
		return nil
	}
	if s.Height < 1 || s.Width < 1 || s.Height > maxSide || s.Width > maxSide {
		return fmt.Errorf("%s: %d x %d is not between 1 and %d", key, s.Height, s.Width, maxSide)
	}
	return nil
}
