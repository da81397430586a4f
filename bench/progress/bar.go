package progress

import "github.com/vbauerster/mpb/v8"

// Bar is one stage.
type Bar struct {
	bar *mpb.Bar
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
