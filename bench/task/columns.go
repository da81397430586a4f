package task

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// columns says where a file of texts has what an example is made of.
type columns struct {
	text, pair, label string // "" for none

	regression bool
	low, high  float64        // the range of targets; none where equal
	values     map[string]int // what the label column holds -> label

	found []column // the columns above in this order, once looked up
}

// example makes an example of a record.
func (c *columns) example(r *rows, rec row) (Example, error) {
	if c.found == nil {
		for _, name := range []string{c.text, c.pair, c.label} {
			col := column{}
			if name != "" {
				var err error
				if col, err = r.column(name); err != nil {
					return Example{}, err
				}
			}
			c.found = append(c.found, col)
		}
	}
	ex := Example{Label: -1, HasPair: c.pair != ""}
	var err error
	if ex.Text, err = r.value(rec, c.found[0]); err != nil {
		return ex, err
	}
	if ex.HasPair {
		if ex.TextPair, err = r.value(rec, c.found[1]); err != nil {
			return ex, err
		}
	}
	if c.label == "" {
		return ex, nil
	}
	v, err := r.value(rec, c.found[2])
	if err != nil {
		return ex, err
	}
	v = strings.TrimSpace(v)
	if c.regression {
		ex.Target, err = c.target(v)
		return ex, err
	}
	label, ok := c.values[v]
	if !ok {
		return ex, fmt.Errorf("label %q, want one of %s", v, quoteSome(labelNames(c.values)))
	}
	ex.Label = label
	return ex, nil
}

// target reads the number that a regression is to predict.
func (c *columns) target(v string) (float64, error) {
	x, err := strconv.ParseFloat(v, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%s is %q, want a number", c.label, v)
	}
	if c.low != c.high && (x < c.low || x > c.high) {
		return 0, fmt.Errorf("%s is %g, want %g to %g", c.label, x, c.low, c.high)
	}
	return x, nil
}

// labelNames lists the keys by value.
func labelNames(values map[string]int) []string {
	names := make([]string, 0, len(values))
	for len(names) < len(values) {
		for name, i := range values {
			if i == len(names) {
				names = append(names, name)
			}
		}
	}
	return names
}

// quoteSome lists names for a message, not more than fit in one.
func quoteSome(names []string) string {
	const most = 12
	var b strings.Builder
	for i, n := range names {
		if i == most {
			fmt.Fprintf(&b, ", ... (%d in all)", len(names))
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", n)
	}
	return b.String()
}

// indexOf maps names to their places.
func indexOf(names []string) map[string]int {
	m := make(map[string]int, len(names))
	for i, n := range names {
		m[n] = i
	}
	return m
}
