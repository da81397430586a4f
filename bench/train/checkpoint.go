package train

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"optin/bench/disk"
	"optin/kernels"
)

// A checkpoint is a line that names the format, a line of JSON, the vectors one
// after the other as little-endian float32, and the SHA-256 of all that. Random
// choices need no state: the step names them.
const checkpointFormat = "optin training checkpoint 1"

// header is the JSON of a checkpoint.
type header struct {
	Training string            `json:"training"` // hash of all that the bits depend on, see Trainer.Save
	Facts    map[string]string `json:"facts"`    // the same in words, to say what differs
	Device   string            `json:"device"`
	Step     int               `json:"step"`
	Vectors  []string          `json:"vectors"`
	Layout   []place           `json:"layout"`
	Values   int               `json:"values"` // of each vector
	Attached []byte            `json:"attached"`
}

// place is a parameter in every vector.
type place struct {
	Name string `json:"name"`
	From int    `json:"from"`
	Len  int    `json:"len"`
}

// stored are the vectors of a checkpoint, in order.
func (v *vectors) stored() (names []string, list []*kernels.Tensor) {
	names, list = []string{"parameters", "first moment", "second moment"}, []*kernels.Tensor{v.params, v.first, v.second}
	if v.average != nil {
		names, list = append(names, "average"), append(list, v.average)
	}
	return names, list
}

func (t *Trainer) header(facts map[string]string) header {
	h := header{Facts: facts, Device: t.dev.Describe(), Step: t.done, Values: t.vectors.layout.size}
	h.Vectors, _ = t.vectors.stored()
	for _, s := range t.vectors.layout.slots {
		h.Layout = append(h.Layout, place{s.name, s.from, s.len})
	}
	text, err := json.Marshal([]any{facts, h.Vectors, h.Layout, h.Values})
	if err != nil {
		panic("train: facts are texts: " + err.Error())
	}
	h.Training = fmt.Sprintf("%x", sha256.Sum256(text))
	return h
}

// Save writes all that the training needs to go on from here to path, whole or
// not at all. facts are what makes two trainings the same beyond their
// parameters' names: settings, data, the model they start with. A checkpoint
// serves no training with other facts. attached is kept for the caller. A model
// that is not finite is *Diverged, and leaves path as it was.
func (t *Trainer) Save(ctx context.Context, path string, facts map[string]string, attached []byte) error {
	return disk.Write(path, func(w io.Writer) error {
		sum := sha256.New()
		out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<20)
		h := t.header(facts)
		h.Attached = attached
		text, err := json.Marshal(h)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n%s\n", checkpointFormat, text) // a failure is kept and returned by Flush
		names, list := t.vectors.stored()
		for i, v := range list {
			if err := t.writeVector(ctx, out, names[i], v); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		_, err = w.Write(sum.Sum(nil))
		return err
	})
}

// writeVector refuses values that are not finite, among those that the model is
// made of: nothing good comes after them, and what the file held before is better.
func (t *Trainer) writeVector(ctx context.Context, w io.Writer, name string, v *kernels.Tensor) error {
	moment := v == t.vectors.first || v == t.vectors.second
	return t.dev.One(ctx, func(ops kernels.Ops) error {
		buf := make([]byte, 0, 4*pieceLen)
		for i := range t.vectors.layout.pieces {
			buf = buf[:0]
			for _, x := range download(ops, t.vectors.layout.pieces[i].cut(v)) {
				if x-x != 0 && !moment {
					return t.diverged(max(1, t.done), "a value of the %s is %v", name, x)
				}
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
		return nil
	})
}

// errDamaged says that a file is no checkpoint, or not a whole one.
var errDamaged = errors.New("is damaged, or no checkpoint of a training: remove it, and start without --resume")

// Resume goes on from a checkpoint, and returns what Save attached. note, if not
// empty, is what the user should know. An error that is fs.ErrNotExist says that
// there is no checkpoint.
func (t *Trainer) Resume(ctx context.Context, path string, facts map[string]string) (attached []byte, note string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	switch err := verify(f); {
	case errors.Is(err, errDamaged):
		return nil, "", fmt.Errorf("%s %w", path, err)
	case err != nil:
		return nil, "", fmt.Errorf("checkpoint: %w", err) // which names the file
	}
	in := bufio.NewReaderSize(f, 1<<20)
	h, err := readHeader(in)
	if err != nil {
		return nil, "", fmt.Errorf("%s %w", path, err)
	}
	if want := t.header(facts); h.Training != want.Training {
		return nil, "", fmt.Errorf("%s is of another training: %s; take back the change, or remove the file and start without --resume", path, difference(h.Facts, facts))
	}
	if h.Step < 0 || h.Step > t.steps {
		return nil, "", fmt.Errorf("%s %w", path, errDamaged)
	}
	_, list := t.vectors.stored()
	for _, v := range list {
		if err := t.readVector(ctx, in, v); err != nil {
			return nil, "", fmt.Errorf("%s %w", path, err)
		}
	}
	t.done = h.Step
	if h.Device != t.dev.Describe() {
		note = fmt.Sprintf("the checkpoint was written on %s, this is %s: what comes out may differ in the last bits from a training without interruption", h.Device, t.dev.Describe())
	}
	return h.Attached, note, nil
}

// verify checks the sum of a whole file, and goes back to its beginning. A file
// that cannot be read is another matter than a damaged one, which is to be removed.
func verify(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if info.Size() < sha256.Size {
		return errDamaged
	}
	if _, err := io.CopyN(sum, f, info.Size()-sha256.Size); err != nil {
		return err
	}
	written, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if !bytes.Equal(written, sum.Sum(nil)) {
		return errDamaged
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

func readHeader(in *bufio.Reader) (header, error) {
	var h header
	format, err := in.ReadString('\n')
	if err != nil || format != checkpointFormat+"\n" {
		return h, errDamaged
	}
	line, err := in.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &h) != nil {
		return h, errDamaged
	}
	return h, nil
}

// difference names the first fact in which two trainings differ.
func difference(theirs, ours map[string]string) string {
	both := map[string]string{}
	maps.Copy(both, ours)
	maps.Copy(both, theirs)
	for _, key := range slices.Sorted(maps.Keys(both)) {
		if theirs[key] != ours[key] {
			return fmt.Sprintf("its %s is %q, this one's %q", key, theirs[key], ours[key])
		}
	}
	return "its model has other parameters"
}

func (t *Trainer) readVector(ctx context.Context, in io.Reader, v *kernels.Tensor) error {
	return t.dev.One(ctx, func(ops kernels.Ops) error {
		buf, values := make([]byte, 4*pieceLen), make([]float32, pieceLen)
		for i := range t.vectors.layout.pieces {
			to := t.vectors.layout.pieces[i].cut(v)
			_, err := io.ReadFull(in, buf[:4*to.Len()])
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return errDamaged
			}
			if err != nil {
				return err
			}
			for j := range values[:to.Len()] {
				values[j] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*j:]))
			}
			mark := ops.Mark()
			ops.Copy(to, ops.Upload(to.Rows, to.Cols, values[:to.Len()]))
			ops.Release(mark)
		}
		return nil
	})
}
