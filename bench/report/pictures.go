package report

import (
	"fmt"

	"optin/bench/record"
)

// pictures draws every plot there is data for: for each model quality and
// speed, and for each way of pruning its scores and what remains.
func pictures(rec *record.Record) ([]picture, error) {
	var out []picture
	add := func(p picture, f *figure) error {
		if f == nil {
			return nil
		}
		var err error
		if p.png, p.svg, err = f.render(); err != nil {
			return fmt.Errorf("report: plot %s: %w", p.name, err)
		}
		p.title = f.title
		out = append(out, p)
		return nil
	}
	for i := range rec.Models {
		m := &rec.Models[i]
		all := seriesOf(rec, m.Name)
		for n, name := range metricNames(rec, m) {
			p := picture{name: fileFor(name, m.Name), model: m.Name, short: name, main: n == 0}
			if err := add(p, qualityFigure(m, all, name)); err != nil {
				return nil, err
			}
		}
		timed := 0
		for _, s := range all {
			f := speedFigure(m, s)
			p := picture{name: fileFor("speed", m.Name, s.label), model: m.Name, short: "speed after " + s.label, main: timed == 0}
			if f != nil {
				timed++
			}
			if err := add(p, f); err != nil {
				return nil, err
			}
		}
		shown := map[string]bool{}
		for j := range rec.Scores {
			s := &rec.Scores[j]
			label := s.Method
			if s.Variant != "" {
				label += ", " + s.Variant
			}
			if s.Model != m.Name || shown[label] { // of several seeds, the first
				continue
			}
			p := picture{name: fileFor("scores", m.Name, label), model: m.Name, short: "scores by " + label, main: len(shown) == 0}
			shown[label] = true
			if err := add(p, scoreFigure(m, s, label)); err != nil {
				return nil, err
			}
		}
		for n, s := range all {
			p := picture{name: fileFor("remains", m.Name, s.label), model: m.Name, short: "what remains by " + s.label, main: n == 0}
			if err := add(p, remainsFigure(m, s)); err != nil {
				return nil, err
			}
		}
	}
	return unique(out), nil
}

// unique gives pictures whose names came out the same numbers.
func unique(list []picture) []picture {
	taken := map[string]bool{}
	for i := range list {
		name := list[i].name
		for n := 2; taken[list[i].name]; n++ {
			list[i].name = fmt.Sprintf("%s-%d", name, n)
		}
		taken[list[i].name] = true
	}
	return list
}
