package measure

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Machine describes where something was measured. What the system does not tell is zero.
type Machine struct {
	OS          string   `json:"os"`           // such as "Debian GNU/Linux 12 (bookworm)"
	Kernel      string   `json:"kernel"`       // such as "6.1.0-18-amd64"
	Arch        string   `json:"arch"`         // Go's name, such as "amd64"
	CPU         string   `json:"cpu"`          // model name
	Sockets     int      `json:"sockets"`      // processor packages
	Cores       int      `json:"cores"`        // physical, over all sockets
	Threads     int      `json:"threads"`      // logical, over all sockets
	Usable      int      `json:"usable"`       // logical ones that this process may run on
	QuotaCPUs   float64  `json:"quota_cpus"`   // limit of the control group, in processors; 0 is none
	SIMD        []string `json:"simd"`         // instruction sets for arithmetic, as the kernel names them
	Caches      []Cache  `json:"caches"`       // of processor 0, nearest first
	MemoryBytes int64    `json:"memory_bytes"` // installed
	Governor    string   `json:"governor"`     // frequency policy of processor 0, such as "performance"
	MaxMHz      float64  `json:"max_mhz"`      // of processor 0
	Hypervisor  bool     `json:"hypervisor"`   // a virtual machine: neighbours may take time away
}

// Cache is one cache.
type Cache struct {
	Level  int    `json:"level"`
	Type   string `json:"type"` // Data, Instruction or Unified
	Bytes  int64  `json:"bytes"`
	Shared string `json:"shared"` // processors that share it, such as "0-3"
}

// DescribeMachine describes this machine.
func DescribeMachine() Machine {
	m := describeMachine(os.DirFS("/"))
	m.Usable = runtime.NumCPU()
	if m.OS == "" {
		m.OS = runtime.GOOS
	}
	return m
}

func describeMachine(root fs.FS) Machine {
	m := Machine{
		Arch:      runtime.GOARCH,
		OS:        osName(root),
		Kernel:    line(root, "proc/sys/kernel/osrelease"),
		Governor:  line(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Caches:    caches(root),
		QuotaCPUs: quota(root),
	}
	if khz, err := readInt(root, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); err == nil {
		m.MaxMHz = float64(khz) / 1000
	}
	if text, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		m.MemoryBytes, _ = kibibytes(text, "MemTotal")
	}
	if text, err := fs.ReadFile(root, "proc/cpuinfo"); err == nil {
		m.readCPUs(text)
	}
	return m
}

// readCPUs takes what /proc/cpuinfo says, one block of "key : value" lines per logical
// processor.
func (m *Machine) readCPUs(text []byte) {
	sockets, cores := map[string]bool{}, map[string]bool{}
	socket := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "processor":
			m.Threads++
			socket = ""
		case "model name":
			m.CPU = value
		case "physical id":
			socket = value
			sockets[value] = true
		case "core id":
			cores[socket+"/"+value] = true
		case "flags", "Features": // x86, ARM
			if m.SIMD == nil {
				flags := strings.Fields(value)
				m.SIMD = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return !isSIMD(f) })
				slices.Sort(m.SIMD)
				m.Hypervisor = slices.Contains(flags, "hypervisor")
			}
		}
	}
	m.Sockets, m.Cores = max(1, len(sockets)), len(cores)
	if m.Cores == 0 {
		m.Cores = m.Threads
	}
}

// isSIMD says whether a processor flag names vector or matrix arithmetic.
func isSIMD(flag string) bool {
	for _, prefix := range []string{"sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "i8mm", "bf16"} {
		if strings.HasPrefix(flag, prefix) {
			return true
		}
	}
	return flag == "sme" || flag == "sme2" // x86 has an unrelated smep
}

func caches(root fs.FS) []Cache {
	folders, _ := fs.Glob(root, "sys/devices/system/cpu/cpu0/cache/index*")
	var out []Cache
	for _, f := range folders {
		level, err := readInt(root, path.Join(f, "level"))
		if err != nil {
			continue
		}
		out = append(out, Cache{
			Level:  int(level),
			Type:   line(root, path.Join(f, "type")),
			Bytes:  bytesOf(line(root, path.Join(f, "size"))),
			Shared: line(root, path.Join(f, "shared_cpu_list")),
		})
	}
	slices.SortStableFunc(out, func(a, b Cache) int { return a.Level - b.Level })
	return out
}

// bytesOf reads sizes such as "48K"; 0 if it cannot.
func bytesOf(size string) int64 {
	shift := 0
	switch {
	case strings.HasSuffix(size, "K"):
		shift = 10
	case strings.HasSuffix(size, "M"):
		shift = 20
	}
	n, err := strconv.ParseInt(strings.TrimRight(size, "KM"), 10, 64)
	if err != nil {
		return 0
	}
	return n << shift
}

// quota is the limit that a container's control group sets, in processors; 0 for none.
func quota(root fs.FS) float64 {
	if limit, period, ok := strings.Cut(line(root, "sys/fs/cgroup/cpu.max"), " "); ok {
		return share(limit, period)
	}
	return share(line(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us"), line(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us"))
}

func share(limit, period string) float64 {
	l, err := strconv.ParseFloat(limit, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err != nil || err2 != nil || l <= 0 || p <= 0 {
		return 0
	}
	return l / p
}

func osName(root fs.FS) string {
	text, err := fs.ReadFile(root, "etc/os-release")
	if err != nil {
		return ""
	}
	for l := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(l, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(name), `"'`)
		}
	}
	return ""
}

// line is the content of a file of one line, "" if there is none.
func line(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
