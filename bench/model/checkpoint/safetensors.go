package checkpoint

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// Layout of a safetensors file: the header's length as a little-endian uint64, the header as JSON, then the values.
const (
	lengthBytes    = 8
	maxHeaderBytes = 100_000_000 // the limit of the format
	metadataKey    = "__metadata__"
)

// tensorInfo is a tensor as the header describes it, with the file-relative checks still to be made.
type tensorInfo struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int // bytes after the header
}

// readSafetensors lists the tensors of a safetensors file after checking that the header is true to the last byte.
func readSafetensors(file *weightFile) (map[string]entry, error) {
	header, err := readHeader(file)
	if err != nil {
		return nil, err
	}
	infos, err := parseHeader(file.path, header)
	if err != nil {
		return nil, err
	}
	dataStart := int64(lengthBytes + len(header))
	if err := checkLayout(file, infos, dataStart); err != nil {
		return nil, err
	}
	entries := make(map[string]entry, len(infos))
	for _, t := range infos {
		count, _ := elements(t.shape)
		entries[t.name] = entry{
			Tensor: Tensor{Name: t.name, DType: t.dtype, Shape: t.shape, File: file.path},
			at:     extent{file: file, offset: dataStart + int64(t.begin), count: count},
		}
	}
	return entries, nil
}

// readHeader returns the JSON text of the header.
func readHeader(file *weightFile) ([]byte, error) {
	if file.size < lengthBytes {
		return nil, damaged(file.path, "", "%d bytes are too few for a safetensors file", file.size)
	}
	var prefix [lengthBytes]byte
	if _, err := file.ReadAt(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	switch rest := uint64(file.size - lengthBytes); {
	case length > maxHeaderBytes:
		return nil, damaged(file.path, "", "the header claims %d bytes, above the format's limit of %d: not a safetensors file, or a damaged one",
			length, uint64(maxHeaderBytes))
	case length > rest:
		return nil, damaged(file.path, "", "the header claims %d bytes, but only %d follow", length, rest)
	}
	header := make([]byte, length)
	if _, err := file.ReadAt(header, lengthBytes); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", file.path, err)
	}
	return header, nil
}

// parseHeader reads the JSON text and checks each tensor by itself.
func parseHeader(path string, header []byte) ([]tensorInfo, error) {
	var infos []tensorInfo
	err := eachMember(header, func(name string, value *jsonValue) error {
		if name == metadataKey {
			return value.members(func(_ string, value *jsonValue) error {
				_, err := value.string()
				return err
			})
		}
		t, err := parseTensor(name, value)
		if err != nil {
			return damaged(path, name, "%v", err)
		}
		infos = append(infos, t)
		return nil
	})
	if format, ok := err.(*FormatError); ok {
		return nil, format
	} else if err != nil {
		return nil, damaged(path, "", "the header is not valid: %v", err)
	}
	return infos, nil
}

// parseTensor reads {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}.
func parseTensor(name string, value *jsonValue) (tensorInfo, error) {
	t := tensorInfo{name: name}
	var offsets []int
	given := map[string]bool{}
	err := value.members(func(key string, value *jsonValue) (err error) {
		given[key] = true
		switch key {
		case "dtype":
			var dtype string
			dtype, err = value.string()
			t.dtype = DType(dtype)
		case "shape":
			t.shape, err = value.sizes()
		case "data_offsets":
			offsets, err = value.sizes()
		default:
			return value.skip()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", key, err)
		}
		return err
	})
	if err != nil {
		return t, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !given[key] {
			return t, fmt.Errorf("the header gives no %s", key)
		}
	}
	if t.dtype.Size() == 0 {
		return t, fmt.Errorf("unknown type %q (known are %s)", clip(string(t.dtype)), knownDTypes())
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return t, fmt.Errorf("data_offsets %v are not [begin, end]", offsets[:min(len(offsets), 8)])
	}
	t.begin, t.end = offsets[0], offsets[1]
	return t, t.checkSize()
}

// checkSize compares the bytes between the offsets with those that type and shape ask for.
func (t tensorInfo) checkSize() error {
	count, ok := elements(t.shape)
	if !ok {
		return fmt.Errorf("shape %v has more elements than can be counted", t.shape[:min(len(t.shape), 8)])
	}
	hi, want := bits.Mul64(uint64(count), uint64(t.dtype.Size()))
	if have := uint64(t.end - t.begin); hi != 0 || have != want {
		return fmt.Errorf("shape %v of %s contradicts the %d bytes between data_offsets", t.shape[:min(len(t.shape), 8)], t.dtype, have)
	}
	return nil
}

// checkLayout makes sure that the tensors tile the bytes after the header: no overlap, no hole, nothing left over.
func checkLayout(file *weightFile, infos []tensorInfo, dataStart int64) error {
	slices.SortFunc(infos, func(a, b tensorInfo) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.name, b.name))
	})
	data, at := int(file.size-dataStart), 0
	for _, t := range infos {
		switch {
		case t.end > data:
			return damaged(file.path, t.name, "ends at byte %d of the values, but the file holds %d", t.end, data)
		case t.begin < at:
			return damaged(file.path, t.name, "begins at byte %d of the values, inside another tensor that ends at %d", t.begin, at)
		case t.begin > at:
			return damaged(file.path, t.name, "begins at byte %d of the values, leaving a hole after byte %d", t.begin, at)
		}
		at = t.end
	}
	if at != data {
		return damaged(file.path, "", "%d bytes follow the last tensor", data-at)
	}
	return nil
}
