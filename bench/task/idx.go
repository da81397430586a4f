package task

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// idxLimit bounds the values of an IDX file that is read into memory.
const idxLimit = 1 << 31

// idx is an array of bytes as MNIST's files hold it.
type idx struct {
	dims []int
	data []byte
}

// readIDX reads a file of unsigned bytes, gzipped or not, and checks the
// number of dimensions.
func readIDX(path string, dims int) (idx, error) {
	f, err := os.Open(path)
	if err != nil {
		return idx{}, err
	}
	defer f.Close()
	a, err := parseIDX(f, dims)
	if err != nil {
		return idx{}, fmt.Errorf("%s: %w; download the file again", path, err)
	}
	return a, nil
}

// parseIDX reads the array, from under gzip where the stream is gzipped.
func parseIDX(r io.Reader, dims int) (idx, error) {
	in := bufio.NewReader(r)
	if head, _ := in.Peek(2); !bytes.Equal(head, []byte{0x1F, 0x8B}) {
		return parsePlainIDX(in, dims)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return idx{}, fmt.Errorf("corrupt gzip file: %w", err)
	}
	a, err := parsePlainIDX(z, dims)
	if err != nil {
		return idx{}, err
	}
	switch _, err := io.ReadFull(z, make([]byte, 1)); err { // reads up to the checksum
	case io.EOF:
		return a, nil
	case nil:
		return idx{}, fmt.Errorf("corrupt gzip file: more than the %d values that the header of the IDX file names", len(a.data))
	default:
		return idx{}, fmt.Errorf("corrupt gzip file: no end after the data (%w)", err)
	}
}

// parsePlainIDX reads the four bytes 0, 0, type, dimensions; then each
// dimension in four bytes, highest first; then the values.
func parsePlainIDX(r io.Reader, dims int) (idx, error) {
	var magic [4]byte
	if _, err := io.ReadFull(r, magic[:]); err != nil {
		return idx{}, fmt.Errorf("not an IDX file: no header (%v)", err)
	}
	if magic[0] != 0 || magic[1] != 0 || magic[2] != 8 {
		return idx{}, fmt.Errorf("not an IDX file of bytes: it begins with % x, want 00 00 08", magic[:3])
	}
	if int(magic[3]) != dims {
		return idx{}, fmt.Errorf("the IDX file has %d dimensions, want %d", magic[3], dims)
	}
	a := idx{dims: make([]int, dims)}
	size := uint64(1)
	for i := range a.dims {
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return idx{}, errors.New("the IDX file ends within its header")
		}
		d := binary.BigEndian.Uint32(b[:])
		if d == 0 || uint64(d) > idxLimit/size {
			return idx{}, fmt.Errorf("dimension %d of the IDX file is %d: not a size that can be read", i+1, d)
		}
		size *= uint64(d)
		a.dims[i] = int(d)
	}
	// Grow with what is really there: the header may lie.
	data, err := io.ReadAll(io.LimitReader(r, int64(size)))
	if err != nil {
		return idx{}, fmt.Errorf("reading %d values: %w", size, err)
	}
	if uint64(len(data)) != size {
		return idx{}, fmt.Errorf("the IDX file is cut short: %d values of %d", len(data), size)
	}
	a.data = data
	return a, nil
}
