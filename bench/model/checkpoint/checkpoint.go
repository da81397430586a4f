package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// The file names that [Open] looks for, in this order.
const (
	SafetensorsFile  = "model.safetensors"
	SafetensorsIndex = "model.safetensors.index.json"
	TorchFile        = "pytorch_model.bin"
	TorchIndex       = "pytorch_model.bin.index.json"
)

// Checkpoint is the set of tensors of one model directory. Its methods may be called from several goroutines at once,
// Close excepted.
type Checkpoint struct {
	path    string // the file that was opened: weights or index
	entries map[string]entry
	files   []*weightFile
}

// entry is a tensor and the place of its values.
type entry struct {
	Tensor
	at extent
}

// Open opens the weights of a model directory: model.safetensors, or the shards that model.safetensors.index.json lists, or
// pytorch_model.bin, or the shards of pytorch_model.bin.index.json, whichever is found first.
// It reads and checks headers, not values.
func Open(dir string) (*Checkpoint, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("cannot open the model directory: %w", err)
	}
	for _, kind := range []struct {
		name string
		open func(*Checkpoint) error
	}{
		{SafetensorsFile, func(c *Checkpoint) error { return c.openSingle(readSafetensors) }},
		{SafetensorsIndex, func(c *Checkpoint) error { return c.openShards(readSafetensors) }},
		{TorchFile, func(c *Checkpoint) error { return c.openSingle(readTorch) }},
		{TorchIndex, func(c *Checkpoint) error { return c.openShards(readTorch) }},
	} {
		path := filepath.Join(dir, kind.name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		c := &Checkpoint{path: path, entries: map[string]entry{}}
		if err := kind.open(c); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	}
	return nil, fmt.Errorf("%s: no weights here: need %s, %s, %s or %s; download one of them into this directory",
		dir, SafetensorsFile, SafetensorsIndex, TorchFile, TorchIndex)
}

// reader lists the tensors of one open file.
type reader func(*weightFile) (map[string]entry, error)

// openSingle takes every tensor of the one file at c.path.
func (c *Checkpoint) openSingle(read reader) error {
	file, err := openFile(c.path)
	if err != nil {
		return err
	}
	c.files = append(c.files, file)
	c.entries, err = read(file)
	return err
}

// Path returns the weight file that was opened, or the index file of a sharded checkpoint.
func (c *Checkpoint) Path() string { return c.path }

// Names returns the names of all tensors, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.entries)) }

// Tensor returns the description of the named tensor.
func (c *Checkpoint) Tensor(name string) (Tensor, bool) {
	e, ok := c.entries[name]
	e.Shape = slices.Clone(e.Shape)
	return e.Tensor, ok
}

// Float32 reads the named tensor's values into dst, row-major. F16, BF16 and F32 convert exactly; F64 is rounded to nearest.
// It is an error if the tensor is missing, is not of a floating type, or does not have exactly len(dst) elements.
func (c *Checkpoint) Float32(name string, dst []float32) error {
	e, err := c.floats(name)
	if err != nil {
		return err
	}
	if n := e.Len(); n != len(dst) {
		return &FormatError{File: e.File, Tensor: name, Problem: fmt.Sprintf("shape %v has %d values, want %d", e.Shape, n, len(dst)),
			Remedy: "check that config.json belongs to these weights"}
	}
	return e.at.read(dst, e.Tensor)
}

// ReadFloat32 reads the named tensor's values into a new slice, as [Checkpoint.Float32] does.
func (c *Checkpoint) ReadFloat32(name string) ([]float32, error) {
	e, err := c.floats(name)
	if err != nil {
		return nil, err
	}
	dst := make([]float32, e.Len())
	return dst, e.at.read(dst, e.Tensor)
}

// floats finds a tensor whose values can be read as float32.
func (c *Checkpoint) floats(name string) (entry, error) {
	e, ok := c.entries[name]
	if !ok {
		return entry{}, &FormatError{File: c.path, Tensor: name, Problem: "there is no such tensor",
			Remedy: "check that config.json belongs to these weights, or download both again"}
	}
	if !e.DType.Float() {
		return entry{}, &FormatError{File: e.File, Tensor: name, Problem: fmt.Sprintf("type %s is not a floating type", e.DType),
			Remedy: "weights must be F32, F16, BF16 or F64"}
	}
	return e, nil
}

// Close closes the files. Reading afterwards is an error.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	c.files = nil
	return errors.Join(errs...)
}
