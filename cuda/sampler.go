package cuda

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"optin/bench/measure"
)

const (
	badSamplerStart = "cuda: Sampler.Start: already started"
	badSamplerStop  = "cuda: Sampler.Stop: not started"
)

// SamplerConfig says how to watch devices.
type SamplerConfig struct {
	Every time.Duration // between readings; default 50 ms: the driver itself refreshes power about every 20 to 100 ms
}

// DefaultSamplerConfig returns the values named in [SamplerConfig].
func DefaultSamplerConfig() SamplerConfig {
	return SamplerConfig{Every: 50 * time.Millisecond}
}

// Sampler reads the state of devices in the background while something is timed on them: it
// is the [measure.Watcher] of GPUs. Its methods are for one goroutine.
type Sampler struct {
	lib      nvml.Interface
	name     string // of the devices and their driver
	devices  []nvml.Device
	reasons  bool // the driver has the call for throttle reasons
	every    time.Duration
	counter  measure.Counter // of energy; Every is 0 until it was measured
	readings [][]reading     // by time and device
	err      error           // the first failed reading
	quit     chan struct{}
	done     sync.WaitGroup
}

var _ measure.Watcher = (*Sampler)(nil)

// NewSampler prepares to watch the devices with these UUIDs, as [Discover] and
// [Context.UUID] give them. Close the sampler after use.
func NewSampler(uuids []string, config SamplerConfig) (*Sampler, error) {
	return newSampler(nvml.New(), uuids, config)
}

func newSampler(lib nvml.Interface, uuids []string, config SamplerConfig) (*Sampler, error) {
	if config.Every <= 0 {
		return nil, fmt.Errorf("sampler: interval %v, must be positive", config.Every)
	}
	if len(uuids) == 0 {
		return nil, errors.New("sampler: no device to watch")
	}
	status := lib.Init()
	if why := absence(status); why != "" {
		return nil, errors.New(why)
	}
	if err := check("start", status); err != nil {
		return nil, err
	}
	s := &Sampler{lib: lib, every: config.Every}
	if err := s.open(uuids); err != nil {
		return nil, errors.Join(err, check("stop", lib.Shutdown()))
	}
	s.reasons = lib.Extensions().LookupSymbol("nvmlDeviceGetCurrentClocksEventReasons") == nil
	s.counter.Source = "NVML (energy counter of the device)"
	return s, nil
}

// open finds the devices and names them.
func (s *Sampler) open(uuids []string) error {
	var names []string
	for _, uuid := range uuids {
		device, status := s.lib.DeviceGetHandleByUUID(uuid)
		if err := check("open device "+uuid, status); err != nil {
			return err
		}
		name, status := device.GetName()
		name, err := supported("name of device "+uuid, name, status)
		if err != nil {
			return err
		}
		s.devices, names = append(s.devices, device), append(names, name)
	}
	version, status := s.lib.SystemGetDriverVersion()
	version, err := supported("driver version", version, status)
	s.name = fmt.Sprintf("%s, driver %s", strings.Join(names, " + "), version)
	return err
}

// Start takes a first reading and then one per interval until Stop. It panics if the
// sampler is running.
func (s *Sampler) Start() {
	if s.quit != nil {
		panic(badSamplerStart)
	}
	s.readings, s.err = nil, nil
	s.read()
	quit := make(chan struct{})
	s.quit = quit
	s.done.Go(func() {
		tick := time.NewTicker(s.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.read()
			case <-quit:
				return
			}
		}
	})
}

// Stop takes a last reading and summarises all since Start. It panics if the sampler is
// not running.
func (s *Sampler) Stop() measure.Telemetry {
	if s.quit == nil {
		panic(badSamplerStop)
	}
	close(s.quit)
	s.done.Wait()
	s.quit = nil
	s.read()
	t := summarise(s.readings)
	t.Device = s.name
	if s.err != nil {
		t.Absent = append(t.Absent, s.err.Error())
	}
	return t
}

// Counter measures how often the devices' energy counters move, the first time that they do.
func (s *Sampler) Counter() (measure.Counter, error) {
	var err error
	if s.counter.Every == 0 {
		s.counter.Every, err = measure.Pace(s.Joules)
	}
	return s.counter, err
}

// Joules is the energy that the devices have used since their driver was loaded. An error
// of a device without a counter says so.
func (s *Sampler) Joules() (float64, error) {
	var millijoules uint64
	for _, d := range s.devices {
		one, status := d.GetTotalEnergyConsumption()
		if err := check("energy", status); err != nil {
			return 0, err
		}
		millijoules += one
	}
	return float64(millijoules) / 1000, nil
}

// Close stops a running sampler and lets go of the management library.
func (s *Sampler) Close() error {
	if s.quit != nil {
		s.Stop()
	}
	return check("stop", s.lib.Shutdown())
}

func (s *Sampler) read() {
	all := make([]reading, len(s.devices))
	for i, d := range s.devices {
		var err error
		if all[i], err = read(d, s.reasons); err != nil && s.err == nil {
			s.err = err
		}
	}
	s.readings = append(s.readings, all)
}
