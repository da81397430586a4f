//go:build cuda

package cuda

// #cgo LDFLAGS: -ldl
// #include <dlfcn.h>
// #include <stddef.h>
//
// // The calls of cuBLAS that are made here. The library is found when a device is opened, so
// // that building needs neither it nor its headers.
// typedef struct {
//   void *library, *handle;
//   int (*create)(void **), (*destroy)(void *), (*stream)(void *, void *), (*math)(void *, int);
//   int (*version)(void *, int *);
//   int (*sgemm)(void *, int, int, int, int, int, const float *, const float *, int,
//                const float *, int, const float *, float *, int);
// } optin_blas;
//
// static const char *optin_blas_load(optin_blas *b) {
//   static const char *const names[] = {"libcublas.so.12", "libcublas.so.13", "libcublas.so.11"};
//   for (size_t i = 0; i < sizeof names / sizeof *names && !b->library; i++) {
//     b->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
//   }
//   if (!b->library) return "libcublas.so.12";
//   struct { const char *name; void **at; } calls[] = {
//     {"cublasCreate_v2", (void **)&b->create},       {"cublasDestroy_v2", (void **)&b->destroy},
//     {"cublasSetStream_v2", (void **)&b->stream},    {"cublasSetMathMode", (void **)&b->math},
//     {"cublasGetVersion_v2", (void **)&b->version},  {"cublasSgemm_v2", (void **)&b->sgemm},
//   };
//   for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
//     if (!(*calls[i].at = dlsym(b->library, calls[i].name))) return calls[i].name;
//   }
//   return NULL;
// }
//
// static int optin_blas_create(optin_blas *b) { return b->create(&b->handle); }
// static int optin_blas_destroy(optin_blas *b) { return b->destroy(b->handle); }
// static int optin_blas_stream(optin_blas *b, void *stream) { return b->stream(b->handle, stream); }
// static int optin_blas_math(optin_blas *b, int mode) { return b->math(b->handle, mode); }
// static int optin_blas_version(optin_blas *b, int *dst) { return b->version(b->handle, dst); }
// static void optin_blas_close(optin_blas *b) { if (b->library) dlclose(b->library); }
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
	"fmt"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

// fullFloat32 is CUBLAS_DEFAULT_MATH: products of float32 in float32, not in tf32.
const fullFloat32 = 0

// blas is cuBLAS for one worker, in its stream.
type blas struct{ c C.optin_blas }

// blasError is a status of cuBLAS.
func blasError(call string, status C.int) error {
	switch status {
	case 0:
		return nil
	case 3:
		return fmt.Errorf("cuda: %s: the device is %w", call, kernels.ErrOutOfMemory)
	}
	name, ok := map[C.int]string{
		1: "not initialized", 7: "invalid value", 8: "unknown chip",
		11: "memory mapping failed", 13: "execution failed", 14: "internal error", 15: "not supported",
	}[status]
	if !ok {
		name = "unknown"
	}
	return fmt.Errorf("cuda: %s: status %d (%s)", call, int(status), name)
}

// newBLAS is for the device whose context is bound.
func newBLAS(stream cu.Stream) (*blas, error) {
	b := &blas{}
	if missing := C.optin_blas_load(&b.c); missing != nil {
		C.optin_blas_close(&b.c)
		return nil, fmt.Errorf("cuda: no %s: install cuBLAS of CUDA 11, 12 or 13, or add its folder to LD_LIBRARY_PATH", C.GoString(missing))
	}
	if err := blasError("cublasCreate", C.optin_blas_create(&b.c)); err != nil {
		C.optin_blas_close(&b.c)
		return nil, err
	}
	err := blasError("cublasSetStream", C.optin_blas_stream(&b.c, unsafe.Pointer(stream.C())))
	if err == nil {
		err = blasError("cublasSetMathMode", C.optin_blas_math(&b.c, fullFloat32))
	}
	if err != nil {
		return nil, firstOf(err, b.free())
	}
	return b, nil
}

// version is such as "12.4.5".
func (b *blas) version() string {
	var v C.int
	if C.optin_blas_version(&b.c, &v) != 0 {
		return "of unknown version"
	}
	if v < 100000 { // as versions 11 say it
		return fmt.Sprintf("%d.%d.%d", int(v)/1000, int(v)/100%10, int(v)%100)
	}
	return fmt.Sprintf("%d.%d.%d", int(v)/10000, int(v)/100%100, int(v)%100)
}

// multiply is y = op(a) op(b) + add y, for add 0 or 1; none of them is empty.
func (b *blas) multiply(y, x, z *kernels.Tensor, tx, tz bool, add float32) {
	inner := x.Cols
	if tx {
		inner = x.Rows
	}
	status := C.optin_blas_gemm(&b.c, C.ulonglong(y.Device), C.ulonglong(x.Device), C.ulonglong(z.Device), flag(tx), flag(tz),
		C.int(number(y.Rows)), C.int(number(y.Cols)), C.int(number(inner)), C.int(number(x.Cols)), C.int(number(z.Cols)), C.float(add))
	if err := blasError("cublasSgemm", status); err != nil {
		kernels.Fail(err)
	}
}

func flag(set bool) C.int {
	if set {
		return 1
	}
	return 0
}

func (b *blas) free() error {
	err := blasError("cublasDestroy", C.optin_blas_destroy(&b.c))
	C.optin_blas_close(&b.c)
	return err
}
