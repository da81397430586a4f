package report

import (
	"fmt"
	"slices"

	"optin/bench/record"
)

// album collects the pictures of a record.
type album struct {
	list []picture
	err  error
}

// add draws a figure, if there is one.
func (a *album) add(p picture, f *figure) {
	if f == nil || a.err != nil {
		return
	}
	if p.png, p.svg, a.err = f.render(); a.err != nil {
		a.err = fmt.Errorf("report: plot %s: %w", p.name, a.err)
		return
	}
	p.title = f.title
	a.list = append(a.list, p)
}

// pictures draws every plot there is data for: for each model quality, its loss,
// and speed, for each key that was varied over numbers what it does, and for
// each way of pruning its scores and what remains. Of more ways than can stand
// side by side, scores and what remains are drawn of the first alone. A
// model of which nothing was removed has no pictures.
func pictures(rec *record.Record) ([]picture, error) {
	var a album
	for i := range rec.Models {
		m := &rec.Models[i]
		all := seriesOf(rec, m.Name)
		if whole(budgets(all)) {
			continue
		}
		a.qualities(rec, m, all)
		first := all
		if len(all) > sideBySide {
			first = all[:1]
		}
		a.speeds(m, all)
		a.scores(rec, m, first)
		for n, s := range first {
			a.add(picture{name: fileFor("remains", m.Name, s.label), model: m.Name, short: "what remains by " + s.label, main: n == 0}, remainsFigure(m, s))
		}
	}
	return unique(a.list), a.err
}

// qualities draws what pruning does to each metric. Where a key was varied, its
// plots say it best; where others published figures, the loss stands beside theirs.
func (a *album) qualities(rec *record.Record, m *record.Model, all []series) {
	varied := ablationsOf(all)
	for n, name := range metricNames(rec, m) {
		for _, x := range varied {
			p := picture{name: fileFor(name, m.Name, x.key, x.runs[0].way.base()), model: m.Name, short: name + " against " + x.key, main: n == 0}
			a.add(p, ablationFigure(m, x, name))
		}
		for _, part := range legible(all) {
			p := picture{name: fileFor(name, m.Name, part.label), model: m.Name, short: name, main: n == 0 && len(varied) == 0}
			if part.label != "" {
				p.short += ", " + part.label
			}
			a.add(p, qualityFigure(m, part.list, name, part.label))
		}
		if n == 0 && len(citedOn(m.Task)) > 0 {
			a.add(picture{name: fileFor("drop", m.Name), model: m.Name, short: "points lost", main: true}, dropFigure(m, all, name))
		}
		if n == 0 {
			a.add(picture{name: fileFor("estimate", m.Name), model: m.Name, short: "estimated against exact scores", main: true}, estimateFigure(rec, m))
		}
	}
}

// part is a share of the ways of pruning, for a plot of its own.
type part struct {
	label string // "" for all
	list  []series
}

// legible splits more ways than there are colours by their rebuild.
func legible(all []series) []part {
	var out []part
	for _, s := range all {
		label := "rebuild " + s.way.rebuild
		at := slices.IndexFunc(out, func(p part) bool { return p.label == label })
		if at < 0 {
			at = len(out)
			out = append(out, part{label: label})
		}
		out[at].list = append(out[at].list, s)
	}
	if len(all) <= hues || len(out) < 2 {
		return []part{{"", all}}
	}
	return out
}

// speeds draws how much faster the ways are that were timed, the first few.
func (a *album) speeds(m *record.Model, all []series) {
	timed := 0
	for _, s := range all {
		if timed == sideBySide {
			return
		}
		f := speedFigure(m, s)
		a.add(picture{name: fileFor("speed", m.Name, s.label), model: m.Name, short: "speed after " + s.label, main: timed == 0}, f)
		if f != nil {
			timed++
		}
	}
}

// scores draws the scores behind some ways of pruning, of several seeds the
// first.
func (a *album) scores(rec *record.Record, m *record.Model, all []series) {
	shown := map[string]bool{}
	for j := range rec.Scores {
		s := &rec.Scores[j]
		label := scoresLabel(s)
		behind := slices.ContainsFunc(all, func(x series) bool { return x.way.method == s.Method && x.way.variant == s.Variant })
		if s.Model != m.Name || shown[label] || !behind {
			continue
		}
		p := picture{name: fileFor("scores", m.Name, label), model: m.Name, short: "scores by " + label, main: len(shown) == 0}
		shown[label] = true
		a.add(p, scoreFigure(m, s, label))
	}
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
