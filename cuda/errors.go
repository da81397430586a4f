package cuda

import "errors"

// ErrNotBuilt is what opening a device gives in a program built without CUDA.
var ErrNotBuilt = errors.New("this program was built without CUDA: build it with \"make cuda\" (go build -tags cuda; needs the CUDA toolkit) and run bin/optin-cuda, or choose device = \"cpu\"")
