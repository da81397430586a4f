package checkpoint

import (
	"fmt"
	"strings"
)

// FormatError says that a weight file, or one tensor of it, is not what its format asks for.
type FormatError struct {
	File    string // path of the offending file
	Tensor  string // name of the offending tensor; empty when the whole file is meant
	Problem string // what is wrong
	Remedy  string // what the reader can do about it
}

// Error renders the four fields as one line.
func (e *FormatError) Error() string {
	var s strings.Builder
	s.WriteString(e.File)
	if e.Tensor != "" {
		fmt.Fprintf(&s, ": tensor %q", clip(e.Tensor))
	}
	s.WriteString(": " + e.Problem)
	if e.Remedy != "" {
		s.WriteString("; " + e.Remedy)
	}
	return s.String()
}

// OverflowError is a finite value that the type it is to be stored in cannot hold: a
// wider one can.
type OverflowError struct {
	FormatError
	DType DType
}

// Unwrap is the error as any other of a weight file.
func (e *OverflowError) Unwrap() error { return &e.FormatError }

const (
	remedyDownload = "the file is damaged or incomplete: download it again"
	remedyConvert  = "load it in a program you trust and save it as model.safetensors"
)

// damaged reports a file that contradicts itself.
func damaged(file, tensor, problem string, args ...any) error {
	return &FormatError{File: file, Tensor: tensor, Problem: fmt.Sprintf(problem, args...), Remedy: remedyDownload}
}

// unsupported reports a file that may be sound but uses what this package does not read.
func unsupported(file, problem string, args ...any) error {
	return &FormatError{File: file, Problem: fmt.Sprintf(problem, args...), Remedy: remedyConvert}
}

// maxShown bounds what a message repeats of a name found in a file.
const maxShown = 200

// clip shortens names that a damaged file may have made absurdly long.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}
