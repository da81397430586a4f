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

// Energy reads the counters of the processors and their memory (RAPL) in
// /sys/class/powercap. They count the whole machine, other programs included.
type Energy struct {
	root   fs.FS
	zones  []zone
	starts []int64 // microjoules, by zone
}

// zone is one counter.
type zone struct {
	folder string
	wrap   int64 // microjoules at which the counter starts again from 0
}

// OpenEnergy finds the counters; the error wraps [ErrNoEnergy] where there are none, as in
// most virtual machines, or where only root may read them, as on most others.
func OpenEnergy() (*Energy, error) { return openEnergy(os.DirFS("/")) }

func openEnergy(root fs.FS) (*Energy, error) {
	const class = "sys/class/powercap"
	folders, err := fs.Glob(root, class+"/intel-rapl:*")
	if err != nil {
		return nil, err
	}
	e := &Energy{root: root}
	for _, folder := range folders {
		name, err := fs.ReadFile(root, path.Join(folder, "name"))
		if err != nil {
			continue
		}
		// A package includes its cores; memory is counted apart. Others overlap with these.
		kind := strings.TrimSpace(string(name))
		if !strings.HasPrefix(kind, "package") && kind != "dram" {
			continue
		}
		wrap, err := readInt(root, path.Join(folder, "max_energy_range_uj"))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoEnergy, err)
		}
		if _, err := readInt(root, path.Join(folder, "energy_uj")); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoEnergy, err)
		}
		e.zones = append(e.zones, zone{folder, wrap})
	}
	if len(e.zones) == 0 {
		return nil, fmt.Errorf("%w: no counters in /%s", ErrNoEnergy, class)
	}
	return e, nil
}

// Start begins an interval, or begins it anew.
func (e *Energy) Start() error {
	starts, err := e.read()
	e.starts = starts
	return err
}

// Joules returns the energy used since Start. A counter may start from 0 once in between,
// not more: at 100 W that takes about 40 minutes.
func (e *Energy) Joules() (float64, error) {
	if e.starts == nil {
		return 0, errors.New("measure: energy: Joules without Start")
	}
	now, err := e.read()
	if err != nil {
		return 0, err
	}
	var micro int64
	for i, z := range e.zones {
		used := now[i] - e.starts[i]
		if used < 0 {
			used += z.wrap
		}
		micro += used
	}
	return float64(micro) / 1e6, nil
}

func (e *Energy) read() ([]int64, error) {
	out := make([]int64, len(e.zones))
	for i, z := range e.zones {
		n, err := readInt(e.root, path.Join(z.folder, "energy_uj"))
		if err != nil {
			return nil, fmt.Errorf("measure: energy: %w", err)
		}
		out[i] = n
	}
	return out, nil
}

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
