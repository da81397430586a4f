package kerneltest

import (
	"fmt"
	"slices"
	"testing"

	"optin/kernels"
)

// Options says what to check.
type Options struct {
	Seed  uint64
	Ops   []string // only cases of these ops; nil: all
	Quick bool     // leave out the real shapes

	// Round is what the device does to x and the weight of Linear before it multiplies
	// them, to the nearest number of a lower precision: its error may be twice that of
	// doing so and nothing else. nil: it multiplies in float32.
	Round func(x float32) float32
}

func (o Options) wants(op string) bool { return o.Ops == nil || slices.Contains(o.Ops, op) }

// runs says whether cases of op run: those of kernels.Backward need it.
func (e *env) runs(op string) bool { return e.differentiable || !needsBackward(op) }

// Check runs the suite on dev, with as many workers as it has, and returns how
// each case went. The error is of the suite itself, not of dev.
func Check(dev kernels.Device, o Options) ([]Result, error) {
	e, err := newEnv(dev, o.Seed)
	if err != nil {
		return nil, err
	}
	e.round = o.Round
	var results []Result
	for _, p := range Programs(o.Quick) {
		if o.wants(p.Op) && e.runs(p.Op) {
			results = append(results, e.check(p.Op, p.Shape, func(r *Result) { e.program(p, r) }))
		}
	}
	for _, p := range properties() {
		if o.wants(p.op) && e.runs(p.op) {
			results = append(results, e.check(p.op, "property="+p.name, func(r *Result) { p.check(e, r) }))
		}
	}
	return results, e.ref.Close()
}

// Run is Check as a test of what open opens, with one worker and with two,
// whose results must have the same bits.
func Run(t *testing.T, open func(t *testing.T, workers int) kernels.Device) {
	run(t, open, Options{Seed: 1})
}

// RunRounded is Run of the one op in which a device of a lower precision differs from that
// device in float32: see Options.Round.
func RunRounded(t *testing.T, open func(t *testing.T, workers int) kernels.Device, round func(x float32) float32) {
	run(t, open, Options{Seed: 1, Round: round, Ops: []string{"Linear"}})
}

func run(t *testing.T, open func(t *testing.T, workers int) kernels.Device, o Options) {
	var bits [][]float64
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			dev := open(t, workers)
			defer func() {
				if err := dev.Close(); err != nil {
					t.Error(err)
				}
			}()
			o.Quick = workers > 1 || testing.Short()
			results, err := Check(dev, o)
			if err != nil {
				t.Fatal(err)
			}
			report(t, results)
			got, err := manyBatches(dev)
			if err != nil {
				t.Fatal(err)
			}
			bits = append(bits, got)
		})
	}
	if len(bits) == 2 {
		r := Result{OK: true}
		r.sameBits("two workers instead of one", bits[1], bits[0])
		if !r.OK {
			t.Error(r.Problem)
		}
	}
}

// report fails t for each result that is not OK and logs the largest share of
// the tolerance that each op used.
func report(t *testing.T, results []Result) {
	t.Helper()
	var ops []string
	worst := make(map[string]Result)
	for _, r := range results {
		if !r.OK {
			t.Errorf("%v", r)
		}
		if r.Worst < 0 {
			continue
		}
		before, seen := worst[r.Op]
		if !seen {
			ops = append(ops, r.Op)
		}
		if !seen || r.Share > before.Share {
			worst[r.Op] = r
		}
	}
	for _, op := range ops {
		t.Logf("op=%-20s share of tolerance=%.3f in %s", op, worst[op].Share, worst[op].Case)
	}
}

// check runs one case; a panic is a failure of the case.
func (e *env) check(op, name string, f func(r *Result)) (r Result) {
	r = Result{Op: op, Case: fmt.Sprintf("%s seed=%d", name, e.seed), Worst: -1, OK: true}
	defer func() {
		if p := recover(); p != nil {
			r.fail("panic: %v", p)
		}
		if err := guards(e.dev); err != nil {
			r.fail("guard values: %v", err)
		}
	}()
	f(&r)
	return r
}

// program checks all that Program promises.
func (e *env) program(p Program, r *Result) {
	g := p.gen(e.seed)
	b := p.build(g)
	defer g.forget(e.dev)
	defer g.forget(e.ref)

	before := e.dev.Tally()
	got, err := narrow(e.dev, b.run)
	if err != nil {
		r.fail("%v", err)
		return
	}
	ran := e.dev.Tally().Sub(before)

	want, limit, err := e.expect(p.Op, b)
	if err != nil {
		r.fail("reference: %v", err)
		return
	}
	r.compare("result", got, want, limit, b.at)
	again, err := narrow(e.dev, b.run)
	if err != nil {
		r.fail("again: %v", err)
		return
	}
	r.sameBits("run again", again, got)
	all, err := wide(e.dev, b.run)
	if err != nil {
		r.fail("wide worker: %v", err)
		return
	}
	r.compare("wide worker", all, want, limit, b.at)
	counted, err := tally(b.run)
	if err != nil {
		r.fail("count: %v", err)
		return
	}
	if ran.MACs != counted.MACs || ran.LossMACs != counted.LossMACs {
		r.fail("counts %d MACs and %d of losses, want %d and %d", ran.MACs, ran.LossMACs, counted.MACs, counted.LossMACs)
	}
}

// expect is what a program must give, and within what.
func (e *env) expect(op string, b body) (want []float64, limit bound, err error) {
	wanted := b.want
	if wanted == nil {
		wanted = func(ref kernels.Ops) []float64 { return values(ref, b.run(ref)) }
	}
	limit = bound{coefficient: coefficient(op), terms: b.terms}
	if want, err = e.onRef(wanted); err != nil || b.scale == nil {
		return want, limit, err
	}
	if limit.scale, err = e.onRef(b.scale); err == nil && op == "Linear" && e.round != nil {
		err = e.inLowPrecision(b, want, &limit)
	}
	return want, limit, err
}
