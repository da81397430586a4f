package measure

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
)

// Memory is how much memory the process used while it was watched.
type Memory struct {
	PeakBytes     int64  `json:"peak_bytes"`             // most physical memory at any moment (VmHWM); 0 if the system does not say
	BeforeBytes   int64  `json:"before_bytes"`           // physical memory when watching began (VmRSS)
	WholeProcess  bool   `json:"whole_process"`          // the peak is since the process began: the system would not reset it
	GoHeapBytes   int64  `json:"go_heap_bytes"`          // of Go objects when watching ended
	GoAllocBytes  uint64 `json:"go_alloc_bytes"`         // allocated by Go in between
	GoAllocations uint64 `json:"go_allocations"`         // objects
	ForeignBytes  int64  `json:"foreign_bytes"`          // what the hook given to WatchMemory reported at the end
	ForeignNote   string `json:"foreign_note,omitempty"` // what that is, in the caller's words
}

// GrowthBytes is the peak beyond what was in use when watching began.
func (m Memory) GrowthBytes() int64 { return m.PeakBytes - m.BeforeBytes }

// Foreign reports memory that Go does not manage, such as the arenas of C kernels.
type Foreign struct {
	Note  string       // such as "arenas"
	Bytes func() int64 // its peak or present size, as Note says
}

// MemoryWatch is a watch under way.
type MemoryWatch struct {
	foreign Foreign
	before  Memory
}

// WatchMemory begins to watch the memory of this process. It resets the peak that the
// system keeps, where the system allows it; two watches must not overlap. A zero Foreign
// leaves that part out.
func WatchMemory(foreign Foreign) *MemoryWatch {
	w := &MemoryWatch{foreign: foreign}
	w.before.WholeProcess = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) != nil
	w.before.BeforeBytes, _ = processMemory("VmRSS")
	w.before.readGo()
	return w
}

// Stop ends the watch.
func (w *MemoryWatch) Stop() Memory {
	m := w.before
	m.readGo()
	m.GoAllocBytes -= w.before.GoAllocBytes
	m.GoAllocations -= w.before.GoAllocations
	m.PeakBytes, _ = processMemory("VmHWM")
	if w.foreign.Bytes != nil {
		m.ForeignBytes, m.ForeignNote = w.foreign.Bytes(), w.foreign.Note
	}
	return m
}

// readGo fills in what the Go runtime counts, as totals since the process began.
func (m *Memory) readGo() {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/allocs:objects"},
	}
	metrics.Read(samples)
	m.GoHeapBytes = int64(samples[0].Value.Uint64())
	m.GoAllocBytes = samples[1].Value.Uint64()
	m.GoAllocations = samples[2].Value.Uint64()
}

// processMemory returns a field of /proc/self/status in bytes.
func processMemory(field string) (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return kibibytes(status, field)
}

// kibibytes finds a line such as "VmHWM:     1234 kB" and returns its number in bytes.
func kibibytes(text []byte, field string) (int64, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), field+":")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", field, err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("%s: not found", field)
}
