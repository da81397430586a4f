package measure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// ErrNoEnergy says that this machine does not let this user read the energy of its
// processors; the error that wraps it says why.
var ErrNoEnergy = errors.New("energy of the processors is not available")

// RAPL reads the energy counters of the processors and their memory in /sys/class/powercap.
// They count the whole machine, other programs included. It is a [Watcher] that sees energy
// alone.
type RAPL struct {
	root    fs.FS
	zones   []zone
	counter Counter // Every is 0 until it was measured
}

// zone is one counter.
type zone struct {
	folder string
	name   string
	wrap   int64 // microjoules at which the counter starts again from 0
	last   int64 // microjoules, when it was last read
	used   int64 // microjoules since the zone was opened
}

// OpenRAPL finds the counters; the error wraps [ErrNoEnergy] where there are none, as in
// most virtual machines, or where only root may read them, as on most others.
func OpenRAPL() (*RAPL, error) { return openRAPL(os.DirFS("/")) }

func openRAPL(root fs.FS) (*RAPL, error) {
	const class = "sys/class/powercap"
	folders, err := fs.Glob(root, class+"/intel-rapl:*")
	if err != nil {
		return nil, err
	}
	r := &RAPL{root: root}
	var names []string
	for _, folder := range folders {
		name, err := fs.ReadFile(root, path.Join(folder, "name"))
		if err != nil {
			continue
		}
		// A package includes its cores; memory is counted apart. Others overlap with these.
		z := zone{folder: folder, name: strings.TrimSpace(string(name))}
		if !strings.HasPrefix(z.name, "package") && z.name != "dram" {
			continue
		}
		if z.wrap, err = readInt(root, path.Join(folder, "max_energy_range_uj")); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoEnergy, err)
		}
		if z.last, err = readInt(root, path.Join(folder, "energy_uj")); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoEnergy, err)
		}
		r.zones = append(r.zones, z)
		names = append(names, z.name)
	}
	if len(r.zones) == 0 {
		return nil, fmt.Errorf("%w: no counters in /%s", ErrNoEnergy, class)
	}
	r.counter.Source = fmt.Sprintf("RAPL (%s)", strings.Join(names, ", "))
	return r, nil
}

// Joules is the energy used since the counters were opened. A counter may start again from
// 0 between two calls once, not more: at 100 W that takes about 40 minutes.
func (r *RAPL) Joules() (float64, error) {
	var micro int64
	for i := range r.zones {
		z := &r.zones[i]
		now, err := readInt(r.root, path.Join(z.folder, "energy_uj"))
		if err != nil {
			return 0, fmt.Errorf("energy of the processors: %w", err)
		}
		step := now - z.last
		if step < 0 {
			step += z.wrap
		}
		if step < 0 {
			return 0, fmt.Errorf("energy of the processors: %s went back from %d to %d microjoules, and its range is only %d", z.name, z.last, now, z.wrap)
		}
		z.last, z.used = now, z.used+step
		micro += z.used
	}
	return float64(micro) / 1e6, nil
}

// Start does nothing: the counters run by themselves.
func (r *RAPL) Start() {}

// Counter measures how often the counters move, the first time that they do.
func (r *RAPL) Counter() (Counter, error) {
	var err error
	if r.counter.Every == 0 {
		r.counter.Every, err = Pace(r.Joules)
	}
	return r.counter, err
}

// Stop says that nothing but energy was watched.
func (r *RAPL) Stop() Telemetry { return Telemetry{Device: "the machine's processors"} }

// readInt reads a file that holds one whole number.
func readInt(root fs.FS, name string) (int64, error) {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/%s: %w", name, err)
	}
	return n, nil
}
