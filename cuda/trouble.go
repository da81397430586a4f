//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"optin/kernels"
)

// trouble is the first error that came where none can be returned, as in freeing, or after
// which every other call fails.
type trouble struct{ first atomic.Pointer[error] }

// note keeps err, if it is the first, for Each, One and Close to return.
func (t *trouble) note(err error) {
	if err != nil {
		t.first.CompareAndSwap(nil, &err)
	}
}

// noted is the first error, or nil.
func (t *trouble) noted() error {
	if err := t.first.Load(); err != nil {
		return *err
	}
	return nil
}

// explained is an error that tells what was launched: one piece of work may be within another.
type explained struct{ error }

func (e explained) Unwrap() error { return e.error }

// wait is until everything that was launched has run.
func (o *ops) wait() error { return failure("cuStreamSynchronize", o.stream.Synchronize()) }

// try is [kernels.Try]. Where a kernel went wrong, which a later call says, the error tells
// what was launched, and is noted.
func (o *ops) try(f func() error) error {
	err := kernels.Try(f)
	if !lost(err) || errors.As(err, &explained{}) {
		return err
	}
	if o.last != "" && os.Getenv("CUDA_LAUNCH_BLOCKING") != "1" {
		err = explained{fmt.Errorf("%w: a kernel launched before this went wrong, the last call here was %s (CUDA_LAUNCH_BLOCKING=1 in the environment makes the call fail that launches it)", err, o.last)}
	}
	o.dev.note(err)
	return err
}
