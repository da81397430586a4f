package kernels

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Device runs work on workers, each with an Ops of its own.
type Device interface {
	// Name is "ref", "cpu" or "cuda"; Describe says what runs it (instruction
	// set, libraries, chip) in a few words.
	Name() string
	Describe() string
	// Workers is how many pieces of work run at once.
	Workers() int
	// Each calls f(ops, i) once for every i in [0, n), in any order, spread over
	// the workers. It returns the error of the lowest i that failed, and stops
	// giving out work after a failure or when ctx is done.
	Each(ctx context.Context, n int, f func(ops Ops, i int) error) error
	// One calls f on a worker that uses all threads for each op: for a single
	// small batch.
	One(ctx context.Context, f func(ops Ops) error) error
	// Alloc makes a tensor that every worker may use, until Free. F64 tensors
	// are zero.
	Alloc(t DType, rows, cols int) (*Tensor, error)
	Free(t *Tensor)
	// Forget frees the packed form of w.
	Forget(w *Weight)
	// Tally is the sum over all workers, PeakBytes the most memory that tensors
	// and packed weights have taken since the last ResetPeak, which begins with
	// what is in use then. ResetPeak also gives idle memory back. None of the three
	// may be called while workers work.
	Tally() Tally
	PeakBytes() int64
	ResetPeak()
	Close() error
}

// ErrOutOfMemory is in the error of work that a device has no memory for. In
// smaller parts there may be enough; Device.ResetPeak gives back what is idle.
var ErrOutOfMemory = errors.New("out of memory")

// fault carries an error of the world through model code that returns tensors.
type fault struct{ err error }

// Error is for where there is no Try: the program ends, and says why.
func (f fault) Error() string { return f.err.Error() }

// Fail raises err to the nearest Try. Interpreters call it; nothing else should.
func Fail(err error) { panic(fault{err}) }

// Try calls f and returns what it returned or raised by Fail. Other panics pass.
func Try(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			err = p.err
		default:
			panic(p)
		}
	}()
	return f()
}

// Pool is a set of goroutines, each locked to its thread for life and owning an
// Ops: the Workers, Each and One of a Device. Only a pool's goroutines call an
// interpreter, so that what C keeps per thread stays where it belongs.
type Pool struct {
	narrow []*worker // one thread each
	wide   *worker   // all threads
}

type worker struct {
	ops  Ops
	jobs chan func(Ops)
	done chan struct{}
}

// MaxWorkers is far more than any machine has use for, and few enough to start.
const MaxWorkers = 1024

// NewPool starts n workers and a wide one. open is called on each worker's own
// thread with the number of threads that its ops may use.
func NewPool(n int, open func(threads int) (Ops, error)) (*Pool, error) {
	if n < 1 || n > MaxWorkers {
		return nil, fmt.Errorf("threads = %d: must be 1 to %d", n, MaxWorkers)
	}
	p := &Pool{}
	var err error
	for range n {
		w, e := startWorker(1, open)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		p.narrow = append(p.narrow, w)
	}
	p.wide, err = p.startWide(n, open, err)
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Pool) startWide(n int, open func(int) (Ops, error), err error) (*worker, error) {
	if err != nil || n == 1 {
		if len(p.narrow) == 0 {
			return nil, err
		}
		return p.narrow[0], err
	}
	return startWorker(n, open)
}

func startWorker(threads int, open func(int) (Ops, error)) (*worker, error) {
	w := &worker{jobs: make(chan func(Ops)), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the worker
		defer close(w.done)
		ops, err := open(threads)
		w.ops = ops
		ready <- err
		if err != nil {
			return
		}
		for job := range w.jobs {
			job(ops)
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return w, nil
}

// Workers is the number of narrow workers.
func (p *Pool) Workers() int { return len(p.narrow) }

// Each is Device.Each.
func (p *Pool) Each(ctx context.Context, n int, f func(ops Ops, i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	var mu sync.Mutex
	first, at := error(nil), n
	run := func(ops Ops) {
		for !failed.Load() && ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			if err := scoped(ops, func() error { return f(ops, i) }); err != nil {
				failed.Store(true)
				mu.Lock()
				if i < at {
					first, at = err, i
				}
				mu.Unlock()
			}
		}
	}
	var wg sync.WaitGroup
	for _, w := range p.narrow[:min(n, len(p.narrow))] {
		wg.Add(1)
		w.jobs <- func(ops Ops) { defer wg.Done(); run(ops) }
	}
	wg.Wait()
	rethrow(first)
	if first != nil {
		return first
	}
	return ctx.Err()
}

// One is Device.One.
func (p *Pool) One(ctx context.Context, f func(ops Ops) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	result := make(chan error)
	p.wide.jobs <- func(ops Ops) {
		result <- scoped(ops, func() error { return f(ops) })
	}
	err := <-result
	rethrow(err)
	return err
}

// scoped calls f and releases what it took. Both may fail: a Release finds what
// was written outside of tensors.
func scoped(ops Ops, f func() error) error {
	mark := ops.Mark()
	err := guarded(f)
	if e := guarded(func() error { ops.Release(mark); return nil }); err == nil {
		err = e
	}
	return err
}

// bug is a panic on its way from a worker to the goroutine that gave the work,
// where tests and users expect it.
type bug struct {
	value any
	stack []byte
}

func (b bug) Error() string { return fmt.Sprintf("%v\n\nworker's stack:\n%s", b.value, b.stack) }

func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := make([]byte, 16<<10)
			err = bug{p, stack[:runtime.Stack(stack, false)]}
		}
	}()
	return Try(f)
}

func rethrow(err error) {
	if b, ok := err.(bug); ok {
		panic(b)
	}
}

// Tally is the sum over the workers. Call it while none is at work.
func (p *Pool) Tally() Tally {
	var t Tally
	for _, w := range p.narrow {
		t = t.Add(w.ops.Tally())
	}
	if p.wide != nil && (len(p.narrow) == 0 || p.wide != p.narrow[0]) {
		t = t.Add(p.wide.ops.Tally())
	}
	return t
}

// Close ends the workers and waits for them.
func (p *Pool) Close() {
	all := p.narrow
	if p.wide != nil && (len(all) == 0 || p.wide != all[0]) {
		all = append(all[:len(all):len(all)], p.wide)
	}
	for _, w := range all {
		close(w.jobs)
		<-w.done
	}
	p.narrow, p.wide = nil, nil
}
