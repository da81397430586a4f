package prune_test

import (
	"strings"
	"testing"

	"optin/bench/prune"
)

// A unit that would have to do the work of 21 is not believed: the reference
// stops there, the project's own method leaves that site alone.
func TestScalesBeyondTheBound(t *testing.T) {
	m, d := twins(t, open(t, "bert-basic")), device(t, 2)
	const neurons = 1 // site
	site := m.Sites()[neurons]
	w := values(t, m, site.Consumer)
	for row := 0; row < len(w); row += site.Units {
		w[row+1] = 20 * w[row]
		clear(w[row+4 : row+site.Units]) // so that LSMR, with 3 unknowns, comes to a solution
	}
	m = with(t, m, map[string][]float32{site.Consumer: w})
	mask := prune.Full(m.Sites())
	mask[neurons][1], mask[2][1] = false, false
	clear(mask[neurons][4:])
	ins := batches(t, m, "bert-basic", 60)

	o := prune.DefaultRebuildOptions()
	o.Method, o.Ridges = prune.Scale, []float64{1e-12}
	_, own := rebuild(t, d, m, mask, ins, o)
	o.Reference = true
	_, reference := rebuild(t, d, m, mask, ins, o)
	for name, c := range map[string]struct {
		report prune.LayerRebuild
		reason string
	}{
		"own, at the bound":        {own[neurons], "scaled by 21"},
		"own, above":               {own[2], ""},
		"reference, first heads":   {reference[0], "leaves the heads of the first layer"},
		"reference, at the bound":  {reference[neurons], "scaled by 21"},
		"reference, heads above":   {reference[2], "stopped at an earlier site"},
		"reference, neurons above": {reference[3], "stopped at an earlier site"},
	} {
		if got := c.report.Reason; c.report.Rebuilt != (c.reason == "") || !strings.Contains(got, c.reason) {
			t.Errorf("%s: rebuilt %v, reason %q, want %q", name, c.report.Rebuilt, got, c.reason)
		}
	}
}

// LSMR runs no longer than there are unknowns, which is not enough for many.
func TestReferenceStopsWhereLSMRDoes(t *testing.T) {
	m, d := open(t, "bert-basic"), device(t, 2)
	mask := prune.Full(m.Sites())
	mask[1][1] = false
	o := prune.DefaultRebuildOptions()
	o.Method, o.Reference = prune.Scale, true
	_, report := rebuild(t, d, m, mask, batches(t, m, "bert-basic", 60), o)
	if r := report[1]; r.Rebuilt || !strings.Contains(r.Reason, "LSMR stopped without a solution: too many iterations") {
		t.Errorf("%+v", r)
	}
	if r := report[3]; r.Rebuilt || !strings.Contains(r.Reason, "stopped at an earlier site") {
		t.Errorf("%+v", r)
	}
}

// A twin whose consumer is twice its brother's is made up for by a factor of 3.
func TestScaleAbsorbsATwin(t *testing.T) {
	m, d := twins(t, open(t, "vit-basic")), device(t, 2)
	mask := prune.Full(m.Sites())
	changed := map[string][]float32{}
	for s, site := range m.Sites() {
		mask[s][1] = false
		w := values(t, m, site.Consumer)
		cols := site.Units * site.Width
		for row := 0; row < len(w); row += cols {
			for i := range site.Width {
				w[row+site.Width+i] = 2 * w[row+i]
			}
		}
		changed[site.Consumer] = w
	}
	m = with(t, m, changed)
	o := prune.DefaultRebuildOptions()
	o.Method, o.Ridges = prune.Scale, []float64{1e-12}
	rebuilt, report := rebuild(t, d, m, mask, batches(t, m, "vit-basic", 60), o)
	for s, site := range m.Sites() {
		old, now := values(t, m, site.Consumer), values(t, rebuilt, site.Consumer)
		for i := range site.Width {
			near(t, site.String(), float64(now[i]), 3*float64(old[i]))
		}
		if !(report[s].Fitted.After < 1e-9*report[s].Fitted.Before) {
			t.Errorf("%v: %+v", site, report[s].Fitted)
		}
	}
}
