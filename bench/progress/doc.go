// Package progress shows how far long stages are and how long they will still
// take, one bar a stage, where a person is watching.
//
//	p := progress.New(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
//	defer p.Close()
//	bar := p.Stage("score", units)
//	defer bar.Done()
//	for range units {
//		// work
//		bar.Add(1)
//	}
//
// A nil *Progress and a nil *Bar do nothing, so code that works need not ask
// whether anyone watches. Both may be used by several goroutines at once.
package progress
