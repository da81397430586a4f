package progress

import (
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
)

// Bar is one stage.
type Bar struct {
	bar  *mpb.Bar
	note *atomic.Value // a text
}

// Note shows a text behind the bar in place of the one before, such as what has
// been reached so far.
func (b *Bar) Note(text string) {
	if b != nil {
		b.note.Store(text)
	}
}

// Add says that n more steps are done.
func (b *Bar) Add(n int) {
	if b != nil {
		b.bar.IncrBy(n)
	}
}

// Done ends the stage. A bar that is not full stays as it is: the stage was cut
// short.
func (b *Bar) Done() {
	if b != nil {
		b.bar.Abort(false) // does nothing to a full bar
		b.bar.Wait()
	}
}
