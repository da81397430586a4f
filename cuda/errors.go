package cuda

import "errors"

// ErrNotBuilt is what opening a device gives in a program built without CUDA.
var ErrNotBuilt = errors.New("this program was built without CUDA: build one that has it with \"make cuda\"")
