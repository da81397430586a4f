package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"optin/bench/roofline"
)

// account sums up the launches of one kernel.
type account struct {
	op         string
	calls      float64
	bytes      float64
	operations float64
	seconds    [2][3]float64 // by chip and precision
	arithmetic [2]float64    // of the float32 seconds by chip, those that arithmetic limits
}

// ledger has an account for each op.
type ledger map[string]*account

// of is the account of op, a new one if there is none.
func (l ledger) of(op string) *account {
	a := l[op]
	if a == nil {
		a = &account{op: op}
		l[op] = a
	}
	return a
}

// enter adds a launch.
func (l ledger) enter(op string, one roofline.Launch) {
	a := l.of(op)
	a.calls++
	a.bytes += float64(one.Bytes)
	a.operations += float64(one.Operations)
	for c, chip := range roofline.Chips() {
		for p := range a.seconds[c] {
			seconds, arithmetic := chip.Floor(one, roofline.Precision(p))
			a.seconds[c][p] += seconds
			if arithmetic && roofline.Precision(p) == roofline.InFloat32 {
				a.arithmetic[c] += seconds
			}
		}
	}
}

// add adds the given number of b.
func (a *account) add(b *account, times float64) {
	a.calls += times * b.calls
	a.bytes += times * b.bytes
	a.operations += times * b.operations
	for c := range a.seconds {
		for p := range a.seconds[c] {
			a.seconds[c][p] += times * b.seconds[c][p]
		}
		a.arithmetic[c] += times * b.arithmetic[c]
	}
}

// add adds the given number of m.
func (l ledger) add(m ledger, times float64) {
	for op, b := range m {
		l.of(op).add(b, times)
	}
}

// total is the sum of all accounts.
func (l ledger) total() *account {
	sum := &account{op: "total"}
	for _, a := range l {
		sum.add(a, 1)
	}
	return sum
}

// limit says what holds an account back on chip c.
func (a *account) limit(c int) string {
	share := 0.0
	if all := a.seconds[c][roofline.InFloat32]; all > 0 {
		share = a.arithmetic[c] / all
	}
	switch {
	case share >= 0.995:
		return "arithmetic"
	case share < 0.005:
		return "memory"
	}
	return fmt.Sprintf("%.0f %% arithmetic", 100*share)
}

// print writes the ledger as a table, the longest first.
func (l ledger) print(w io.Writer) error {
	accounts := make([]*account, 0, len(l))
	for _, a := range l {
		accounts = append(accounts, a)
	}
	slices.SortFunc(accounts, func(a, b *account) int {
		return cmp.Or(-cmp.Compare(a.seconds[0][roofline.InFloat32], b.seconds[0][roofline.InFloat32]), cmp.Compare(a.op, b.op))
	})
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tab, "kernel\tlaunches\tGop\tGB\t")
	for _, chip := range roofline.Chips() {
		fmt.Fprintf(tab, "%s ms\tlimit\t", chip.Name)
	}
	fmt.Fprintln(tab)
	for _, a := range append(accounts, l.total()) {
		fmt.Fprintf(tab, "%s\t%.0f\t%.2f\t%.3f\t", a.op, a.calls, a.operations/1e9, a.bytes/1e9)
		for c := range a.seconds {
			fmt.Fprintf(tab, "%.3f\t%s\t", 1e3*a.seconds[c][roofline.InFloat32], a.limit(c))
		}
		fmt.Fprintln(tab)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	total := l.total()
	for _, p := range []roofline.Precision{roofline.InTF32, roofline.InBF16} {
		fmt.Fprintf(w, "total with dense products in %v:", p)
		for c, chip := range roofline.Chips() {
			fmt.Fprintf(w, "  %s %.3f ms", chip.Name, 1e3*total.seconds[c][p])
		}
		fmt.Fprintln(w)
	}
	return nil
}
