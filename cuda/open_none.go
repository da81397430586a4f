//go:build !cuda

package cuda

import "optin/kernels"

// New returns [ErrNotBuilt].
func New(Options) (kernels.Device, error) { return nil, ErrNotBuilt }

// Available returns [ErrNotBuilt].
func Available() error { return ErrNotBuilt }

// Built says whether this build can open a device.
const Built = false

// Context is a device opened for computing; there is none in this build.
type Context struct{}

// Open returns [ErrNotBuilt].
func Open(int) (*Context, error) { return nil, ErrNotBuilt }

// Bind returns [ErrNotBuilt].
func (*Context) Bind() error { return ErrNotBuilt }

// Name returns [ErrNotBuilt].
func (*Context) Name() (string, error) { return "", ErrNotBuilt }

// UUID returns [ErrNotBuilt].
func (*Context) UUID() (string, error) { return "", ErrNotBuilt }

// Capability returns [ErrNotBuilt].
func (*Context) Capability() (major, minor int, err error) { return 0, 0, ErrNotBuilt }

// Memory returns [ErrNotBuilt].
func (*Context) Memory() (free, total int64, err error) { return 0, 0, ErrNotBuilt }

// Synchronize returns [ErrNotBuilt].
func (*Context) Synchronize() error { return ErrNotBuilt }

// Close does nothing.
func (*Context) Close() error { return nil }
