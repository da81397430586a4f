package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

const powercap = "sys/class/powercap/intel-rapl:"

// counters are the files of a machine with one processor, its cores and its memory.
func counters(packageMicro, memoryMicro int64) fstest.MapFS {
	micro := func(n int64) *fstest.MapFile { return file(fmt.Sprintf("%d\n", n)) }
	return fstest.MapFS{
		powercap + "0/name":                  file("package-0\n"),
		powercap + "0/max_energy_range_uj":   micro(1e9),
		powercap + "0/energy_uj":             micro(packageMicro),
		powercap + "0:0/name":                file("core\n"), // within the package
		powercap + "0:0/energy_uj":           micro(1),
		powercap + "0:1/name":                file("dram\n"),
		powercap + "0:1/max_energy_range_uj": micro(1e9),
		powercap + "0:1/energy_uj":           micro(memoryMicro),
	}
}

// set changes what the counters say.
func set(root fstest.MapFS, packageMicro, memoryMicro int64) {
	for name, f := range counters(packageMicro, memoryMicro) {
		root[name] = f
	}
}

// TestRAPL adds up two counters, each of which starts again from 0, more than once.
func TestRAPL(t *testing.T) {
	root := counters(999e6, 5e6)
	r, err := openRAPL(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		packageMicro, memoryMicro int64
		want                      float64
	}{
		{999e6, 5e6, 0},
		{2e6, 5.5e6, 3.5},     // the processor's went past its range
		{902e6, 5.5e6, 903.5}, //
		{2e6, 4.5e6, 2002.5},  // both did
		{2e6, 4.5e6, 2002.5},  // nothing was used
	} {
		set(root, step.packageMicro, step.memoryMicro)
		if j, err := r.Joules(); err != nil || j != step.want {
			t.Errorf("%+v: %v J, error %v", step, j, err)
		}
	}
	root[powercap+"0/energy_uj"] = file("-3000000000\n")
	if _, err := r.Joules(); err == nil {
		t.Error("a counter that fell by more than its range was believed")
	}
}

// TestRAPLPace: the counters move every millisecond.
func TestRAPLPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := counters(0, 0)
		r, err := openRAPL(root)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.root = moving{root, func() { set(root, time.Since(began).Milliseconds()*1000, 0) }}
		got, err := r.Counter()
		if err != nil || got.Every != time.Millisecond || got.Source != "RAPL (package-0, dram)" {
			t.Errorf("%+v, error %v", got, err)
		}
		r.root = root // still
		if again, err := r.Counter(); err != nil || again != got {
			t.Errorf("asked again: %+v, error %v", again, err)
		}
		still, err := openRAPL(root)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := still.Counter(); !errors.Is(err, errStill) {
			t.Errorf("counters that stand still: error %v", err)
		}
		still.root = moving{root, func() { set(root, time.Since(began).Milliseconds()*1000, 0) }}
		if again, err := still.Counter(); err != nil || again.Every != time.Millisecond {
			t.Errorf("counters that have begun to move: %+v, error %v", again, err)
		}
	})
}

// moving is a file system that changes before it is read.
type moving struct {
	fs.FS
	change func()
}

func (m moving) Open(name string) (fs.File, error) {
	m.change()
	return m.FS.Open(name)
}

func TestRAPLAbsent(t *testing.T) {
	root := counters(1, 1)
	delete(root, powercap+"0/energy_uj")
	if _, err := openRAPL(root); !errors.Is(err, ErrNoEnergy) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNoEnergy and its cause", err)
	}
	if _, err := openRAPL(fstest.MapFS{}); !errors.Is(err, ErrNoEnergy) {
		t.Errorf("error %v, want ErrNoEnergy", err)
	}
	if r, err := OpenRAPL(); err != nil && !errors.Is(err, ErrNoEnergy) {
		t.Errorf("this machine: error %v, want none or ErrNoEnergy", err)
	} else if err == nil && r.Stop().Device == "" {
		t.Error("the processors have no name")
	}
}
