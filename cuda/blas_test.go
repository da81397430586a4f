//go:build cuda

package cuda

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/kernels"
)

// square is a product of matrices of zeros.
func square(o kernels.Ops, side int) {
	zeros := make([]float32, side*side)
	o.(*ops).MatMul(o.Upload(side, side, zeros), o.Upload(side, side, zeros), false, false)
}

// TestBLASOfAToolkit has a cuBLAS that the driver is too old for where the loader looks, and
// an older one in a toolkit's folder.
func TestBLASOfAToolkit(t *testing.T) {
	if images() == nil {
		t.Skip("the cuBLAS of a GPU's machine cannot be exchanged")
	}
	t.Setenv("CUEMU_BLAS_REFUSES", "12")
	if _, err := New(Options{Images: images()}); err == nil || !strings.Contains(err.Error(), "libcublas.so.12 does not start on this driver, which is for CUDA 12.4: ") {
		t.Errorf("no other cuBLAS: error %v", err)
	}
	home := filepath.Join(os.Getenv("CUEMU_IMAGES"), "..", "cuda-11")
	t.Setenv("CUDA_HOME", home)
	var told []string
	dev, err := New(Options{Workers: 2, Images: images(), Log: func(line string) { told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	d := dev.(*device)
	defer d.Close()
	if len(told) != 1 || !strings.Contains(told[0], "libcublas.so.12 does not start") || !strings.Contains(told[0], filepath.Join(home, "lib64", "libcublas.so.11")+" is used") {
		t.Errorf("told %q", told)
	}
	if v := d.Libraries()["cuBLAS"]; v != "11.11.3" {
		t.Errorf("cuBLAS %s", v)
	}
	each(t, d, func(o *ops) { square(o, 4) })
}

// TestBLASThatCannotBeLoaded has a file that is no library, and none.
func TestBLASThatCannotBeLoaded(t *testing.T) {
	folder := t.TempDir()
	b := &blas{library: library{folder, 12}}
	if err := b.load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: error %v", err)
	}
	if err := os.WriteFile(b.library.file(), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := b.load(); err == nil || !strings.Contains(err.Error(), b.library.file()+" cannot be loaded: ") {
		t.Errorf("an empty file: error %v", err)
	}
}

// TestBLASVersion: as 11, as 12 before and after it changed its mind, and as 13.
func TestBLASVersion(t *testing.T) {
	for _, c := range []struct {
		major, number int
		want          string
	}{{11, 11604, "11.6.4"}, {11, 12103, "11.11.3"}, {12, 120405, "12.4.5"}, {12, 12001, "12.0.1"}, {13, 130002, "13.0.2"}} {
		if got := blasVersion(c.major, c.number); got != c.want {
			t.Errorf("cuBLAS %d, number %d: %s, want %s", c.major, c.number, got, c.want)
		}
	}
}

// TestBLASNeedsMemory leaves cuBLAS too little for its own kernels, which it calls a failure
// of something else.
func TestBLASNeedsMemory(t *testing.T) {
	if images() == nil {
		t.Skip("how much a GPU's cuBLAS needs is not known")
	}
	t.Setenv("CUEMU_MEMORY", "67108864")
	t.Setenv("CUEMU_BLAS_NEEDS", "33554432")
	d := open(t, 1, false)
	defer d.Close()
	each(t, d, func(o *ops) { o.New(kernels.F32, 10<<20, 1) }) // which is idle afterwards
	each(t, d, func(o *ops) { square(o, 4) })
	err := d.One(context.Background(), func(o kernels.Ops) error {
		o.New(kernels.F32, 10<<20, 1)
		square(o, 4)
		return nil
	})
	if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), "cublasSgemm: cuBLAS status 13") {
		t.Errorf("error %v, want that memory is out, with cuBLAS's status", err)
	}
}

// TestBLASFails for another reason than memory.
func TestBLASFails(t *testing.T) {
	if images() == nil {
		t.Skip("a GPU's cuBLAS does not fail on demand")
	}
	t.Setenv("CUEMU_BLAS_NEEDS", "1000000000000")
	d := open(t, 1, false)
	defer d.Close()
	err := d.One(context.Background(), func(o kernels.Ops) error { square(o, 4); return nil })
	if err == nil || errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), "cublasSgemm: cuBLAS status 13 (execution failed)") {
		t.Errorf("error %v", err)
	}
}
