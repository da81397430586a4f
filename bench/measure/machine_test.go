package measure

import (
	"encoding/json"
	"reflect"
	"runtime"
	"testing"
	"testing/fstest"
	"time"
)

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func TestDescribeMachine(t *testing.T) {
	const cpu0 = "sys/devices/system/cpu/cpu0/"
	block := func(processor, socket, core string) string {
		return "processor\t: " + processor + "\nmodel name\t: Xeon\nphysical id\t: " + socket +
			"\ncore id\t\t: " + core + "\nflags\t\t: fpu smep sse4_2 fma hypervisor avx2 avx512f amx_bf16\n\n"
	}
	got := describeMachine(fstest.MapFS{
		"etc/os-release":                      file("ID=debian\nPRETTY_NAME=\"Debian 12\"\n"),
		"proc/sys/kernel/osrelease":           file("6.1.0\n"),
		"proc/meminfo":                        file("MemTotal:       16 kB\nMemFree: 1 kB\n"),
		"proc/cpuinfo":                        file(block("0", "0", "0") + block("1", "0", "0") + block("2", "1", "0")),
		"sys/fs/cgroup/cpu.max":               file("150000 100000\n"),
		cpu0 + "cpufreq/scaling_governor":     file("performance\n"),
		cpu0 + "cpufreq/cpuinfo_max_freq":     file("3500000\n"),
		cpu0 + "cache/index0/level":           file("1\n"),
		cpu0 + "cache/index0/type":            file("Data\n"),
		cpu0 + "cache/index0/size":            file("48K\n"),
		cpu0 + "cache/index0/shared_cpu_list": file("0-1\n"),
		cpu0 + "cache/index3/level":           file("3\n"),
		cpu0 + "cache/index3/size":            file("2M\n"),
	})
	want := Machine{
		OS: "Debian 12", Kernel: "6.1.0", Arch: runtime.GOARCH, CPU: "Xeon", Sockets: 2, Cores: 2, Threads: 3,
		QuotaCPUs: 1.5, SIMD: []string{"amx_bf16", "avx2", "avx512f", "fma", "sse4_2"},
		Caches:      []Cache{{1, "Data", 48 << 10, "0-1"}, {3, "", 2 << 20, ""}},
		MemoryBytes: 16 << 10, Governor: "performance", MaxMHz: 3500, Hypervisor: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("machine is\n%+v, want\n%+v", got, want)
	}
}

func TestDescribeMachineWithoutAnswers(t *testing.T) {
	if got := describeMachine(fstest.MapFS{}); !reflect.DeepEqual(got, Machine{Arch: runtime.GOARCH}) {
		t.Errorf("machine is %+v, want nothing but its architecture", got)
	}
	if got := quota(fstest.MapFS{"sys/fs/cgroup/cpu.max": file("max 100000\n")}); got != 0 {
		t.Errorf("quota %v, want none", got)
	}
}

func TestProvenance(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	p := NewProvenance("v1.2.3", "abc-dirty", now)
	if p.Version != "v1.2.3" || p.Revision != "abc" || !p.Dirty || p.Go != runtime.Version() || !p.Time.Equal(now) {
		t.Errorf("provenance %+v", p)
	}
	if p.Machine.Usable < 1 || p.Machine.OS == "" {
		t.Errorf("machine %+v", p.Machine)
	}
	if got := NewProvenance("", "", now); got.Revision == "" {
		t.Error("revision is empty, want one or \"unknown\"")
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Provenance
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("read back %+v, error %v", back, err)
	}
}
