//go:build cuda

package cuda

import (
	"fmt"
	"os"
	"path/filepath"
)

// library is a cuBLAS that may be there.
type library struct {
	folder string // "": wherever the loader looks
	major  int    // version
}

func (l library) file() string {
	return filepath.Join(l.folder, fmt.Sprintf("libcublas.so.%d", l.major))
}

// needs is the file that cuBLAS itself needs, and the loader does not look for in a folder of
// ours; "" where the loader looks.
func (l library) needs() string {
	if l.folder == "" {
		return ""
	}
	return filepath.Join(l.folder, fmt.Sprintf("libcublasLt.so.%d", l.major))
}

// libraries are those to try, in this order: CUDA 12 is what is tested most.
func libraries() []library {
	var list []library
	for _, folder := range append([]string{""}, folders()...) {
		for _, major := range []int{12, 13, 11} {
			list = append(list, library{folder, major})
		}
	}
	return list
}

// folders are where toolkits keep cuBLAS, and, beside the program, where scripts/cublas
// fetches it to.
func folders() []string {
	var list []string
	for _, toolkit := range []string{os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda"} {
		if filepath.IsAbs(toolkit) {
			list = append(list, filepath.Join(toolkit, "lib64"), filepath.Join(toolkit, "lib"), filepath.Join(toolkit, "targets", "x86_64-linux", "lib"))
		}
	}
	if own, err := os.Executable(); err == nil {
		fetched, _ := filepath.Glob(filepath.Join(filepath.Dir(own), "cuda", "*", "lib")) // the pattern is right
		list = append(list, fetched...)
	}
	return list
}
