package kernels_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"optin/kernels"
)

// idle is an Ops for pools: it only keeps marks and a tally.
type idle struct {
	kernels.Ops
	threads  int
	marks    int
	released int
	tally    kernels.Tally
}

func (o *idle) Mark() kernels.Mark                       { o.marks++; return kernels.Mark(o.marks) }
func (o *idle) Release(kernels.Mark, ...*kernels.Tensor) { o.released++ }
func (o *idle) Tally() kernels.Tally                     { return o.tally }
func openIdle(threads int) (kernels.Ops, error)          { return &idle{threads: threads}, nil }
func refuse(what error) func(threads int) (kernels.Ops, error) {
	return func(int) (kernels.Ops, error) { return nil, what }
}

// pool starts n idle workers until the test ends.
func pool(t *testing.T, n int) *kernels.Pool {
	t.Helper()
	p, err := kernels.NewPool(n, openIdle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestEachRunsEveryPieceOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		for _, n := range []int{0, 1, 3, 100} {
			p := pool(t, workers)
			runs := make([]atomic.Int32, n)
			err := p.Each(context.Background(), n, func(_ kernels.Ops, i int) error { runs[i].Add(1); return nil })
			if err != nil {
				t.Errorf("workers=%d n=%d: %v", workers, n, err)
			}
			for i := range runs {
				if got := runs[i].Load(); got != 1 {
					t.Errorf("workers=%d n=%d: piece %d ran %d times", workers, n, i, got)
				}
			}
		}
	}
}

func TestEachGivesEachWorkerItsOwnOps(t *testing.T) {
	p := pool(t, 2)
	var mu sync.Mutex
	seen := make(map[kernels.Ops]int)
	both := make(chan struct{}, 2)
	if err := p.Each(context.Background(), 2, func(ops kernels.Ops, _ int) error {
		mu.Lock()
		seen[ops]++
		mu.Unlock()
		both <- struct{}{}
		for len(both) < 2 { // neither may take both pieces
			time.Sleep(time.Millisecond)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 {
		t.Errorf("2 pieces at once ran on %d workers", len(seen))
	}
	for ops := range seen {
		o := ops.(*idle)
		if o.threads != 1 || o.marks != 1 || o.released != 1 {
			t.Errorf("a worker has %d threads, set %d marks, released %d", o.threads, o.marks, o.released)
		}
	}
}

func TestOneHasAllThreads(t *testing.T) {
	for _, workers := range []int{1, 3} {
		if err := pool(t, workers).One(context.Background(), func(ops kernels.Ops) error {
			if got := ops.(*idle).threads; got != workers {
				return fmt.Errorf("%d threads, want %d", got, workers)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestEachReturnsTheLowestError(t *testing.T) {
	p := pool(t, 2)
	var started sync.WaitGroup
	started.Add(2)
	err := p.Each(context.Background(), 2, func(_ kernels.Ops, i int) error {
		started.Done()
		started.Wait() // both fail, whatever the order
		return fmt.Errorf("piece %d", i)
	})
	if err == nil || err.Error() != "piece 0" {
		t.Errorf("got %v", err)
	}
}

func TestEachStopsAfterAFailure(t *testing.T) {
	p := pool(t, 1)
	ran := 0
	broken := errors.New("broken")
	err := p.Each(context.Background(), 100, func(_ kernels.Ops, i int) error {
		ran++
		if i == 3 {
			kernels.Fail(broken)
		}
		return nil
	})
	if !errors.Is(err, broken) || ran != 4 {
		t.Errorf("%d pieces ran, error %v", ran, err)
	}
	if err := p.Each(context.Background(), 1, func(kernels.Ops, int) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestEachStopsWhenCancelled(t *testing.T) {
	p := pool(t, 2)
	ctx, cancel := context.WithCancel(context.Background())
	var ran atomic.Int32
	err := p.Each(ctx, 1000, func(kernels.Ops, int) error {
		if ran.Add(1) == 5 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || ran.Load() > 10 {
		t.Errorf("%d pieces ran, error %v", ran.Load(), err)
	}
	if err := p.One(ctx, func(kernels.Ops) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("One: %v", err)
	}
}

func TestPanicsReachTheCaller(t *testing.T) {
	p := pool(t, 2)
	calls := map[string]func(){
		"Each": func() {
			_ = p.Each(context.Background(), 4, func(_ kernels.Ops, i int) error {
				if i == 1 {
					panic("a programming error")
				}
				return nil
			})
		},
		"One": func() {
			_ = p.One(context.Background(), func(kernels.Ops) error { panic("a programming error") })
		},
	}
	for name, call := range calls {
		message := func() (message string) {
			defer func() { message = fmt.Sprint(recover()) }()
			call()
			return ""
		}()
		if !strings.HasPrefix(message, "a programming error") || !strings.Contains(message, "device_test.go") {
			t.Errorf("%s panics with %q, want the value and the worker's stack", name, message)
		}
		if err := p.Each(context.Background(), 8, func(kernels.Ops, int) error { return nil }); err != nil {
			t.Errorf("after a panic in %s: %v", name, err)
		}
	}
}

// overwritten is an Ops that finds damage when it releases.
type overwritten struct{ idle }

func (*overwritten) Release(kernels.Mark, ...*kernels.Tensor) { kernels.Fail(errDamage) }

var errDamage = errors.New("guard values overwritten")

func TestReleaseMayFail(t *testing.T) {
	p, err := kernels.NewPool(2, func(int) (kernels.Ops, error) { return &overwritten{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Each(context.Background(), 3, func(kernels.Ops, int) error { return nil }); !errors.Is(err, errDamage) {
		t.Errorf("Each: %v", err)
	}
	first := errors.New("the work's own error")
	if err := p.One(context.Background(), func(kernels.Ops) error { return first }); !errors.Is(err, first) {
		t.Errorf("One: %v", err)
	}
}

func TestNewPoolFails(t *testing.T) {
	if _, err := kernels.NewPool(0, openIdle); err == nil || !strings.Contains(err.Error(), "threads = 0") {
		t.Errorf("no workers: %v", err)
	}
	none := errors.New("no memory")
	if _, err := kernels.NewPool(2, refuse(none)); !errors.Is(err, none) {
		t.Errorf("no worker opens: %v", err)
	}
	opened := 0
	if _, err := kernels.NewPool(3, func(threads int) (kernels.Ops, error) {
		if opened++; opened > 2 {
			return nil, none
		}
		return openIdle(threads)
	}); !errors.Is(err, none) {
		t.Errorf("the third worker does not open: %v", err)
	}
	if _, err := kernels.NewPool(2, func(threads int) (kernels.Ops, error) {
		if threads == 2 {
			return nil, none
		}
		return openIdle(threads)
	}); !errors.Is(err, none) {
		t.Errorf("the wide worker does not open: %v", err)
	}
}

func TestTallyIsTheSumOfWorkers(t *testing.T) {
	for _, workers := range []int{1, 3} {
		p, err := kernels.NewPool(workers, func(threads int) (kernels.Ops, error) {
			return &idle{tally: kernels.Tally{MACs: 1, PaddedMACs: 10, LossMACs: 100}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := int64(workers)
		if workers > 1 {
			all++ // the wide one
		}
		if got, want := p.Tally(), (kernels.Tally{MACs: all, PaddedMACs: 10 * all, LossMACs: 100 * all}); got != want {
			t.Errorf("workers=%d: %+v, want %+v", workers, got, want)
		}
		p.Close()
	}
}

func TestTry(t *testing.T) {
	world := errors.New("the world")
	if err := kernels.Try(func() error { return world }); !errors.Is(err, world) {
		t.Errorf("returned: %v", err)
	}
	if err := kernels.Try(func() error { kernels.Fail(world); return nil }); !errors.Is(err, world) {
		t.Errorf("raised: %v", err)
	}
	if err := kernels.Try(func() error { return nil }); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
	defer func() {
		if p := recover(); p != "a bug" {
			t.Errorf("another panic: %v", p)
		}
	}()
	_ = kernels.Try(func() error { panic("a bug") })
}

// TestFailWithoutTry ends the program, which then must say why.
func TestFailWithoutTry(t *testing.T) {
	defer func() {
		p := recover()
		if err, ok := p.(error); !ok || err.Error() != "the disk is gone" {
			t.Errorf("panic %v, want the error", p)
		}
	}()
	kernels.Fail(errors.New("the disk is gone"))
}
