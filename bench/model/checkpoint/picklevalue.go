package checkpoint

import (
	"errors"
	"fmt"
)

// The values that the pickle machine can build, beside string, int64, float64 and bool.
type (
	none  struct{}
	tuple []any
	list  struct{ items []any }

	// dict keeps its keys in the order in which they were set.
	dict struct {
		keys   []string
		values map[string]any
	}

	// storage is a run of elements in a file of its own inside the archive.
	storage struct {
		key   string // name of that file below data/
		dtype DType
		count int
	}

	// storedTensor is a window on a storage.
	storedTensor struct {
		storage
		offset int // first element
		view
	}

	// global is a Python function or class that a state dict may name.
	global struct {
		name string
		call func(args tuple) (any, error)
	}
)

// set adds a member. Keys of state dicts are strings, and a repeated one would hide a tensor.
func (d *dict) set(key, value any) error {
	name, ok := key.(string)
	if !ok {
		return errors.New("a dictionary key that is no string")
	}
	if _, ok := d.values[name]; ok {
		return fmt.Errorf("key %q appears twice", clip(name))
	}
	if d.values == nil {
		d.values = map[string]any{}
	}
	d.keys = append(d.keys, name)
	d.values[name] = value
	return nil
}

// lookUpGlobal returns the stand-in for a Python global, or refuses it by name.
func lookUpGlobal(module, name string) (any, error) {
	full := module + "." + name
	switch full {
	case "collections.OrderedDict":
		return global{full, newOrderedDict}, nil
	case "torch._utils._rebuild_tensor_v2":
		return global{full, rebuildTensor}, nil
	case "torch._utils._rebuild_parameter":
		return global{full, rebuildParameter}, nil
	case "torch.Size":
		return global{full, newSize}, nil
	}
	if dtype := storageType(full); dtype != "" {
		return dtype, nil
	}
	return nil, refusedGlobal{full}
}

// refusedGlobal is the error for a name that is not on the list above.
type refusedGlobal struct{ name string }

func (r refusedGlobal) Error() string {
	return fmt.Sprintf("it names %q, which weights have no need of and which could run any program: refused", clip(r.name))
}

// storageType returns the element type of a storage class, "" for any other name.
func storageType(class string) DType {
	switch class {
	case "torch.DoubleStorage":
		return F64
	case "torch.FloatStorage":
		return F32
	case "torch.BFloat16Storage":
		return BF16
	case "torch.HalfStorage":
		return F16
	case "torch.LongStorage":
		return I64
	case "torch.IntStorage":
		return I32
	case "torch.ShortStorage":
		return I16
	case "torch.CharStorage":
		return I8
	case "torch.ByteStorage", "torch.UntypedStorage", "torch.storage.UntypedStorage":
		return U8
	case "torch.BoolStorage":
		return Bool
	}
	return ""
}

// newOrderedDict is OrderedDict(): its members follow as items.
func newOrderedDict(args tuple) (any, error) {
	if len(args) != 0 {
		return nil, fmt.Errorf("%d arguments, want none", len(args))
	}
	return &dict{}, nil
}

// newSize is Size(tuple).
func newSize(args tuple) (any, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("%d arguments, want 1", len(args))
	}
	sizes, ok := args[0].(tuple)
	if !ok {
		return nil, errors.New("the argument is no tuple")
	}
	return sizes, nil
}

// newStorage reads the identifier ("storage", class, key, device, elements).
func newStorage(id any) (any, error) {
	t, _ := id.(tuple)
	if len(t) != 5 || t[0] != "storage" {
		return nil, errors.New("a persistent object that is no storage")
	}
	dtype, ok1 := t[1].(DType)
	key, ok2 := t[2].(string)
	count, ok3 := t[4].(int64)
	if !ok1 || !ok2 || !ok3 || count < 0 || int64(int(count)) != count {
		return nil, errors.New("a storage of unknown type, name or size")
	}
	return storage{key: key, dtype: dtype, count: int(count)}, nil
}

// rebuildTensor is _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks[, metadata]).
func rebuildTensor(args tuple) (any, error) {
	if len(args) != 6 && len(args) != 7 {
		return nil, fmt.Errorf("%d arguments, want 6 or 7", len(args))
	}
	s, ok := args[0].(storage)
	if !ok {
		return nil, errors.New("the first argument is no storage")
	}
	offset, err := pickledSizes(tuple{args[1]})
	if err != nil {
		return nil, err
	}
	t := storedTensor{storage: s, offset: offset[0]}
	if t.shape, err = pickledSizes(args[2]); err != nil {
		return nil, err
	}
	if t.stride, err = pickledSizes(args[3]); err != nil {
		return nil, err
	}
	if len(t.shape) != len(t.stride) {
		return nil, fmt.Errorf("%d dimensions with %d strides", len(t.shape), len(t.stride))
	}
	return t, nil
}

// rebuildParameter is _rebuild_parameter(tensor, requires_grad, backward_hooks).
func rebuildParameter(args tuple) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("%d arguments, want 3", len(args))
	}
	t, ok := args[0].(storedTensor)
	if !ok {
		return nil, errors.New("the first argument is no tensor")
	}
	return t, nil
}

// maxRank is PyTorch's own limit on the number of dimensions.
const maxRank = 64

// pickledSizes converts a tuple of integers that are not negative.
func pickledSizes(v any) ([]int, error) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("sizes that are no tuple of at most %d integers", maxRank)
	}
	sizes := make([]int, len(t))
	for i, item := range t {
		n, ok := item.(int64)
		if !ok || n < 0 || int64(int(n)) != n {
			return nil, errors.New("a size that is no integer from 0 up")
		}
		sizes[i] = int(n)
	}
	return sizes, nil
}
