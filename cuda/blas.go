//go:build cuda

package cuda

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stddef.h>
// #include <stdlib.h>
//
// // The calls of cuBLAS that are made here. The library is found when a device is opened, so
// // that building needs neither it nor its headers.
// typedef struct {
//   void *handle;
//   int (*create)(void **), (*destroy)(void *), (*stream)(void *, void *), (*math)(void *, int);
//   int (*version)(void *, int *);
//   int (*sgemm)(void *, int, int, int, int, int, const float *, const float *, int,
//                const float *, int, const float *, float *, int);
// } optin_blas;
//
// // What is loaded once stays: cuBLAS leaves threads behind that would not survive it.
// static void *optin_blas_open(const char *file) {
//   return dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
// }
//
// // optin_blas_load returns NULL, or why the file is of no use.
// static const char *optin_blas_load(optin_blas *b, const char *file) {
//   void *library = optin_blas_open(file);
//   struct { const char *name; void **at; } calls[] = {
//     {"cublasCreate_v2", (void **)&b->create},       {"cublasDestroy_v2", (void **)&b->destroy},
//     {"cublasSetStream_v2", (void **)&b->stream},    {"cublasSetMathMode", (void **)&b->math},
//     {"cublasGetVersion_v2", (void **)&b->version},  {"cublasSgemm_v2", (void **)&b->sgemm},
//   };
//   for (size_t i = 0; library && i < sizeof calls / sizeof *calls; i++) {
//     if (!(*calls[i].at = dlsym(library, calls[i].name))) return dlerror();
//   }
//   return library ? NULL : dlerror();
// }
//
// static int optin_blas_create(optin_blas *b) { return b->create(&b->handle); }
// static int optin_blas_destroy(optin_blas *b) { return b->destroy(b->handle); }
// static int optin_blas_stream(optin_blas *b, void *stream) { return b->stream(b->handle, stream); }
// static int optin_blas_math(optin_blas *b, int mode) { return b->math(b->handle, mode); }
// static int optin_blas_version(optin_blas *b, int *dst) { return b->version(b->handle, dst); }
//
// // c (m, n) = op(a) op(b) + add c, all row-major. To cuBLAS, which is column-major, these
// // are the transposes, and c' = op(b)' op(a)'.
// static int optin_blas_gemm(optin_blas *h, unsigned long long c, unsigned long long a,
//                            unsigned long long b, int ta, int tb, int m, int n, int k, int lda,
//                            int ldb, float add) {
//   const float one = 1;
//   return h->sgemm(h->handle, tb, ta, n, m, k, &one, (const float *)b, ldb, (const float *)a, lda,
//                   &add, (float *)c, n);
// }
import "C"

import (
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

// fullFloat32 is CUBLAS_DEFAULT_MATH: products of float32 in float32, not in tf32.
const fullFloat32 = 0

// blas is cuBLAS for one worker, in its stream.
type blas struct {
	c       C.optin_blas
	library library
}

// blasStatus is an error of cuBLAS.
type blasStatus int

const (
	notInitialized  blasStatus = 1
	allocFailed     blasStatus = 3
	executionFailed blasStatus = 13
	internalError   blasStatus = 14
)

func (s blasStatus) Error() string {
	name, ok := map[blasStatus]string{
		notInitialized: "not initialized", allocFailed: "allocation failed", 7: "invalid value", 8: "unknown chip",
		11: "memory mapping failed", executionFailed: "execution failed", internalError: "internal error", 15: "not supported",
	}[s]
	if !ok {
		name = "unknown"
	}
	return fmt.Sprintf("cuBLAS status %d (%s)", int(s), name)
}

// littleMemory, in bytes, is what cuBLAS may need for its own kernels, which it loads when it
// first uses them.
const littleMemory = 256 << 20

// blasError is the error of a call on the device whose context is bound. cuBLAS has no word
// of its own for a device that has failed, nor always for one that is full.
func blasError(call string, result C.int) error {
	if result == 0 {
		return nil
	}
	s := blasStatus(result)
	free, _, err := cu.MemInfo()
	if err != nil {
		return failure(call, err)
	}
	full := s == allocFailed
	if s == notInitialized || s == executionFailed || s == internalError {
		full = free < littleMemory
	}
	if full {
		return fmt.Errorf("cuda: %s: %w: the device is %w", call, s, kernels.ErrOutOfMemory)
	}
	return fmt.Errorf("cuda: %s: %w", call, s)
}

// newBLAS is for the device whose context is bound: the first cuBLAS that the driver is not
// too old for. refused is why those before it are not used.
func newBLAS(stream cu.Stream) (b *blas, refused error, err error) {
	for _, l := range libraries() {
		b := &blas{library: l}
		if err := b.load(); err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				refused = both(refused, err)
			}
			continue
		}
		err := blasError("cublasCreate", C.optin_blas_create(&b.c))
		if err == nil {
			if err = b.configure(stream); err != nil {
				return nil, nil, err
			}
			return b, refused, nil
		}
		if !errors.Is(err, notInitialized) || errors.Is(err, kernels.ErrOutOfMemory) {
			return nil, nil, err
		}
		refused = both(refused, fmt.Errorf("%s does not start on this driver, which is for CUDA %s: %w", l.file(), versionText(cu.Version()), err))
	}
	if refused != nil {
		return nil, nil, fmt.Errorf("%w: update the driver, or install a cuBLAS of the driver's major version and add its folder to LD_LIBRARY_PATH, or fetch that of CUDA 12.4 with scripts/cublas --pinned", refused)
	}
	return nil, nil, errors.New("cuda: no libcublas.so.12, .13 or .11: install cuBLAS, add its folder to LD_LIBRARY_PATH or set CUDA_HOME, or fetch it with scripts/cublas")
}

// load loads the library, with what it needs itself; [fs.ErrNotExist]: it is not there.
func (b *blas) load() error {
	file := C.CString(b.library.file())
	defer C.free(unsafe.Pointer(file))
	if lt := b.library.needs(); lt != "" {
		needed := C.CString(lt)
		defer C.free(unsafe.Pointer(needed))
		C.optin_blas_open(needed)
	}
	text := C.optin_blas_load(&b.c, file)
	if text == nil {
		return nil
	}
	return unloadable(b.library.file(), C.GoString(text))
}

// unloadable is why the loader cannot load a file; it has no other word than this for one
// that is not there, and the same, with another name, for one that the file needs.
func unloadable(file, text string) error {
	if text == file+": cannot open shared object file: No such file or directory" {
		return fs.ErrNotExist
	}
	return fmt.Errorf("%s cannot be loaded: %s", file, text)
}

func (b *blas) configure(stream cu.Stream) error {
	err := blasError("cublasSetStream", C.optin_blas_stream(&b.c, unsafe.Pointer(stream.C())))
	if err == nil {
		err = blasError("cublasSetMathMode", C.optin_blas_math(&b.c, fullFloat32))
	}
	if err != nil {
		return firstOf(err, b.free())
	}
	return nil
}

// version is such as "12.4.5".
func (b *blas) version() string {
	var v C.int
	if C.optin_blas_version(&b.c, &v) != 0 {
		return "of unknown version"
	}
	return blasVersion(b.library.major, int(v))
}

// blasVersion reads the number of a version, of which old libraries have the major number in
// thousands and new ones in ten thousands.
func blasVersion(major, v int) string {
	v -= 1000 * major
	if v >= 9000*major {
		v -= 9000 * major
	}
	return fmt.Sprintf("%d.%d.%d", major, v/100, v%100)
}

// multiply is y = op(x) op(z) + add y, for add 0 or 1; none of them is empty.
func (b *blas) multiply(y, x, z *kernels.Tensor, tx, tz bool, add float32) error {
	inner := x.Cols
	if tx {
		inner = x.Rows
	}
	return blasError("cublasSgemm", C.optin_blas_gemm(&b.c, C.ulonglong(y.Device), C.ulonglong(x.Device), C.ulonglong(z.Device), flag(tx), flag(tz),
		C.int(number(y.Rows)), C.int(number(y.Cols)), C.int(number(inner)), C.int(number(x.Cols)), C.int(number(z.Cols)), C.float(add)))
}

// multiply is that of blas; where there is no memory for cuBLAS itself, once more after giving
// back what is idle.
func (o *ops) multiply(y, x, z *kernels.Tensor, tx, tz bool, add float32) {
	o.last = "cublasSgemm"
	err := o.blas.multiply(y, x, z, tx, tz, add)
	if errors.Is(err, kernels.ErrOutOfMemory) {
		if err = o.arena.trim(); err == nil {
			err = o.blas.multiply(y, x, z, tx, tz, add)
		}
	}
	if err != nil {
		kernels.Fail(err)
	}
}

func flag(set bool) C.int {
	if set {
		return 1
	}
	return 0
}

func (b *blas) free() error { return blasError("cublasDestroy", C.optin_blas_destroy(&b.c)) }
