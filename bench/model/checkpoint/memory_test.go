package checkpoint

import (
	"path/filepath"
	"runtime"
	"testing"
)

// TestReadAllocatesOneBuffer says that reading into given memory costs one chunk, whatever the size of the tensor.
func TestReadAllocatesOneBuffer(t *testing.T) {
	const count = 4 << 20
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, SafetensorsFile), []Source{constant("w", BF16, []int{count})}, nil); err != nil {
		t.Fatal(err)
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dst := make([]float32, count)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := c.Float32("w", dst); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 2*chunkBytes {
		t.Errorf("reading allocated %d bytes, want at most %d", got, 2*chunkBytes)
	}
}

// BenchmarkFloat32 reads a tensor of the size of BERT's word embeddings from the page cache.
func BenchmarkFloat32(b *testing.B) {
	const count = 30522 * 768
	for _, dtype := range []DType{F32, F16, BF16} {
		b.Run("dtype="+string(dtype), func(b *testing.B) {
			dir := b.TempDir()
			if err := Write(filepath.Join(dir, SafetensorsFile), []Source{constant("w", dtype, []int{count})}, nil); err != nil {
				b.Fatal(err)
			}
			c, err := Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			dst := make([]float32, count)
			b.SetBytes(int64(count * dtype.Size()))
			for b.Loop() {
				if err := c.Float32("w", dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
