package checkpoint

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"optin/bench/disk"
)

// Source is a tensor to be written: its description, and a function that yields its values.
type Source struct {
	Name    string
	DType   DType // F32, F16, BF16 or F64
	Shape   []int
	Float32 func(dst []float32) error // fills dst with all values, row-major
}

// Write writes tensors to a safetensors file, laid out as Hugging Face's own writer lays them out: widest type first, then
// by name. Values are rounded to nearest. One tensor at a time is in memory.
//
// The metadata are written beside the tensors; "format" is set to "pt", which transformers asks for, unless it is given.
//
// A value that is not finite, or that is not finite any more in the type it is stored in, is an error that names the tensor.
// The file appears under its name only when it is complete and on disk; on any error what was there before stays untouched.
func Write(path string, tensors []Source, metadata map[string]string) error {
	return Replace(path, tensors, metadata, func() error { return nil })
}

// Replace writes as Write does, and calls ready when the file is complete, before it takes its name.
func Replace(path string, tensors []Source, metadata map[string]string, ready func() error) error {
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if err := t.check(path); err != nil {
			return err
		}
		if seen[t.Name] {
			return &FormatError{File: path, Tensor: t.Name, Problem: "given twice"}
		}
		seen[t.Name] = true
	}
	sorted := slices.SortedFunc(slices.Values(tensors), compareSources)
	header, err := buildHeader(path, sorted, metadata)
	if err != nil {
		return err
	}
	return disk.Replace(path, func(w io.Writer) error {
		out := bufio.NewWriterSize(w, chunkBytes)
		out.Write(header) // a failure is kept and returned by Flush
		for _, t := range sorted {
			if err := t.write(path, out); err != nil {
				return err
			}
		}
		return out.Flush()
	}, ready)
}

// check refuses a description that no file can hold.
func (t Source) check(path string) error {
	bad := func(problem string, args ...any) error {
		return &FormatError{File: path, Tensor: t.Name, Problem: fmt.Sprintf(problem, args...)}
	}
	if t.Name == "" || t.Name == metadataKey || !utf8.ValidString(t.Name) {
		return bad("this is not a name that a tensor can have")
	}
	if !t.DType.Float() {
		return bad("type %q cannot be written; use F32, F16, BF16 or F64", t.DType)
	}
	if n, ok := elements(t.Shape); !ok || n > math.MaxInt/t.DType.Size() {
		return bad("shape %v is not possible", t.Shape)
	}
	return nil
}

// write appends the tensor's values to out.
func (t Source) write(path string, out io.Writer) error {
	count, _ := elements(t.Shape)
	values := make([]float32, count)
	if err := t.Float32(values); err != nil {
		return fmt.Errorf("%s: tensor %q: %w", path, t.Name, err)
	}
	width := t.DType.Size()
	buf := make([]byte, min(count*width, chunkBytes))
	for at := 0; at < count; {
		n := min(count-at, chunkBytes/width)
		if bad := encode(buf[:n*width], values[at:at+n], t.DType); bad >= 0 {
			v := values[at+bad]
			err := FormatError{File: path, Tensor: t.Name, Problem: fmt.Sprintf("value %d is %g, which %s cannot hold as a finite number", at+bad, v, t.DType)}
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return &err
			}
			return &OverflowError{err, t.DType}
		}
		if _, err := out.Write(buf[:n*width]); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// compareSources orders tensors by type as [allDTypes] does, then by name.
func compareSources(a, b Source) int {
	order := allDTypes()
	return cmp.Or(slices.Index(order, a.DType)-slices.Index(order, b.DType), strings.Compare(a.Name, b.Name))
}

// buildHeader renders length and JSON header; spaces pad it so that the values start at a multiple of 8 bytes.
func buildHeader(path string, sorted []Source, metadata map[string]string) ([]byte, error) {
	all := map[string]string{"format": "pt"}
	maps.Copy(all, metadata)
	header := make([]byte, lengthBytes)
	header = append(header, '{')
	header = appendJSON(header, metadataKey)
	header = append(header, ':')
	header = appendJSON(header, all)
	begin := 0
	for _, t := range sorted {
		count, _ := elements(t.Shape)
		end := begin + count*t.DType.Size()
		if end < begin {
			return nil, &FormatError{File: path, Tensor: t.Name, Problem: "the tensors together are too large for one file"}
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{}
		}
		header = append(header, ',')
		header = appendJSON(header, t.Name)
		header = append(header, ':')
		header = appendJSON(header, struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, shape, [2]int{begin, end}})
		begin = end
	}
	header = append(header, '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	if n := len(header) - lengthBytes; n > maxHeaderBytes {
		return nil, &FormatError{File: path, Problem: fmt.Sprintf("a header of %d bytes is above the format's limit of %d", n, int64(maxHeaderBytes))}
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-lengthBytes))
	return header, nil
}

// appendJSON appends v as JSON, with characters such as < and & left as they are; v must be of a type that JSON can express.
func appendJSON(dst []byte, v any) []byte {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("checkpoint: header value without JSON form")
	}
	return append(dst, bytes.TrimRight(text.Bytes(), "\n")...)
}
