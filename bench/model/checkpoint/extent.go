package checkpoint

import (
	"fmt"
	"hash/crc32"
	"io"
)

// extent is where the values of one tensor lie: a run of elements in a file, seen through a view if one is set.
type extent struct {
	file   *weightFile
	offset int64   // first byte of the run
	count  int     // elements in the run
	view   *view   // nil: the run is the tensor, in row-major order
	crc    *uint32 // nil: no checksum known for the run
}

// chunkBytes is the size of the buffer that values pass through: large enough for full disk speed, small enough for L2.
const chunkBytes = 128 << 10

// read fills dst with the values of tensor t, which lies at e.
func (e extent) read(dst []float32, t Tensor) error {
	if e.view == nil {
		return e.readRun(dst, t)
	}
	run := make([]float32, e.count)
	if err := e.readRun(run, t); err != nil {
		return err
	}
	e.view.gather(dst, run)
	return nil
}

// readRun fills dst, of length e.count, with the elements of the run.
func (e extent) readRun(dst []float32, t Tensor) error {
	width := t.DType.Size()
	buf := make([]byte, min(len(dst)*width, chunkBytes))
	sum, at := uint32(0), e.offset
	for rest := dst; len(rest) > 0; {
		n := min(len(rest), chunkBytes/width)
		src := buf[:n*width]
		if _, err := e.file.ReadAt(src, at); err == io.EOF {
			return damaged(e.file.path, t.Name, "the file ends inside its values")
		} else if err != nil {
			return fmt.Errorf("%s: tensor %q: %w", e.file.path, clip(t.Name), err)
		}
		if err := decode(rest[:n], src, t.DType); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", e.file.path, clip(t.Name), err)
		}
		if e.crc != nil {
			sum = crc32.Update(sum, crc32.IEEETable, src)
		}
		rest, at = rest[n:], at+int64(len(src))
	}
	if e.crc != nil && sum != *e.crc {
		return damaged(e.file.path, t.Name, "the values do not match their checksum")
	}
	return nil
}
