package measure

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestWatchMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the peak of memory is read from /proc, which only Linux has")
	}
	const size = 64 << 20
	touch := func() {
		b := make([]byte, size)
		for i := 0; i < size; i += 512 {
			b[i] = 1
		}
		runtime.KeepAlive(b)
	}
	touch() // an earlier peak, which the watch must not report
	touch()
	debug.FreeOSMemory()

	w := WatchMemory(Foreign{Note: "arenas", Bytes: func() int64 { return 42 }})
	quiet := w.Stop()
	if quiet.ForeignBytes != 42 || quiet.ForeignNote != "arenas" {
		t.Errorf("foreign memory %+v", quiet)
	}
	if !quiet.WholeProcess && quiet.GrowthBytes() > size/2 {
		t.Errorf("grew by %d bytes while nothing happened", quiet.GrowthBytes())
	}

	w = WatchMemory(Foreign{})
	touch()
	m := w.Stop()
	if m.PeakBytes < size || m.GoAllocBytes < size || m.GoAllocations < 1 || m.GoHeapBytes <= 0 {
		t.Errorf("memory %+v after using %d bytes", m, size)
	}
	if !m.WholeProcess && m.GrowthBytes() < size*9/10 {
		t.Errorf("grew by %d bytes, want about %d", m.GrowthBytes(), size)
	}
}

func TestKibibytes(t *testing.T) {
	text := []byte("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\tmany kB\n")
	if n, err := kibibytes(text, "VmHWM"); err != nil || n != 1234<<10 {
		t.Errorf("%d bytes, error %v", n, err)
	}
	for _, field := range []string{"VmRSS", "VmPeak"} {
		if _, err := kibibytes(text, field); err == nil {
			t.Errorf("%s was read", field)
		}
	}
}
