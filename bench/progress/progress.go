package progress

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Progress is a set of bars, one beneath the other.
type Progress struct {
	bars *mpb.Progress
}

// New returns a set of bars on w, which has to be a terminal; nil, which shows
// nothing, unless enabled.
func New(w io.Writer, enabled bool) *Progress {
	if !enabled {
		return nil
	}
	return &Progress{mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh(), mpb.WithRefreshRate(refresh))}
}

const (
	barWidth  = 30                     // columns, less in a narrow terminal
	nameWidth = 20                     // columns, so that bars begin below each other
	refresh   = 150 * time.Millisecond // between redraws: smooth, and no work worth mentioning
)

// Stage adds the bar of a stage that takes total steps.
func (p *Progress) Stage(name string, total int) *Bar {
	if p == nil {
		return nil
	}
	start, took := time.Now(), time.Duration(0)
	note := new(atomic.Value)
	note.Store("")
	bar, err := p.bars.Add(int64(max(total, 1)),
		mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("▌").Padding("·").Build(),
		mpb.BarWidth(barWidth),
		mpb.PrependDecorators(decor.Name(name, decor.WC{W: nameWidth, C: decor.DindentRight})),
		mpb.AppendDecorators(
			decor.CountersNoUnit(" %d/%d", decor.WC{W: 14}),
			decor.Any(func(s decor.Statistics) string {
				if over := s.Completed || s.Aborted; !over || took == 0 {
					took = time.Since(start)
				}
				return remaining(s, took)
			}),
			decor.Any(func(decor.Statistics) string {
				if text := note.Load().(string); text != "" {
					return "  " + text
				}
				return ""
			}),
		),
	)
	if err != nil {
		return nil // closed already
	}
	return &Bar{bar, note}
}

// Write prints lines above the bars, such as warnings.
func (p *Progress) Write(line []byte) (int, error) {
	if p == nil {
		return len(line), nil
	}
	return p.bars.Write(line)
}

// Close ends all bars, finished or not, and waits until the last is drawn.
func (p *Progress) Close() {
	if p != nil {
		p.bars.Shutdown()
	}
}

// remaining is the time left, or once a stage is over the time it took.
func remaining(s decor.Statistics, elapsed time.Duration) string {
	switch {
	case s.Completed, s.Aborted:
		return "  took " + clock(elapsed)
	case s.Current == 0:
		return "  "
	}
	left := time.Duration(float64(elapsed) * float64(s.Total-s.Current) / float64(s.Current))
	return "  " + clock(left) + " left"
}

// clock writes a time as people read it from afar.
func clock(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d min", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d:%02d h", d/time.Hour, d%time.Hour/time.Minute)
}
