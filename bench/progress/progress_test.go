package progress

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestQuiet(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, false)
	b := p.Stage("score", 10)
	b.Add(3)
	b.Note("loss 0.5")
	b.Done()
	if n, err := p.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("wrote %d %v", n, err)
	}
	p.Close()
	if out.Len() != 0 {
		t.Errorf("wrote %q", out.String())
	}
}

// TestBars runs a full stage, one that is cut short and one without steps, all
// of them used by several goroutines.
func TestBars(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, true)
	full := p.Stage("score", 100)
	cut := p.Stage("evaluate", 100)
	p.Stage("search", 0).Done()
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range 25 {
				full.Add(1)
			}
			cut.Add(5)
		})
	}
	workers.Wait()
	full.Done()
	full.Done()
	cut.Note("loss 0.5")
	cut.Done()
	p.Close()
	if b := p.Stage("late", 1); b != nil {
		t.Error("a stage began after the end")
	}
	p.Close()
	for _, want := range []string{"score", "100/100", "evaluate", "20/100", "took 0 s", "loss 0.5"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %q", want, out.String())
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		400 * time.Millisecond: "0 s", 42 * time.Second: "42 s", 125 * time.Second: "2:05 min", 3*time.Hour + 7*time.Minute: "3:07 h",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
