package cuda

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const (
	badSamplerStart = "cuda: Sampler.Start: already started"
	badSamplerStop  = "cuda: Sampler.Stop: not started"
)

// SamplerConfig says how to watch a device.
type SamplerConfig struct {
	Every time.Duration // between readings; default 50 ms: the driver itself refreshes power about every 20 to 100 ms
}

// DefaultSamplerConfig returns the values named in [SamplerConfig].
func DefaultSamplerConfig() SamplerConfig {
	return SamplerConfig{Every: 50 * time.Millisecond}
}

// Sampler reads the state of one device in the background while something is timed.
// Its methods are for one goroutine.
type Sampler struct {
	lib      nvml.Interface
	device   nvml.Device
	reasons  bool // the driver has the call for throttle reasons
	every    time.Duration
	now      func() time.Time
	readings []reading
	err      error
	quit     chan struct{}
	done     sync.WaitGroup
}

// NewSampler prepares to watch the device with this UUID, as [Discover] and
// [Context.UUID] give it. Close the sampler after use.
func NewSampler(uuid string, config SamplerConfig) (*Sampler, error) {
	return newSampler(nvml.New(), uuid, config)
}

func newSampler(lib nvml.Interface, uuid string, config SamplerConfig) (*Sampler, error) {
	if config.Every <= 0 {
		return nil, fmt.Errorf("sampler: interval %v, must be positive", config.Every)
	}
	if err := check("start", lib.Init()); err != nil {
		return nil, err
	}
	device, status := lib.DeviceGetHandleByUUID(uuid)
	if err := check("open device "+uuid, status); err != nil {
		return nil, errors.Join(err, check("stop", lib.Shutdown()))
	}
	missing := lib.Extensions().LookupSymbol("nvmlDeviceGetCurrentClocksEventReasons")
	return &Sampler{lib: lib, device: device, reasons: missing == nil, every: config.Every, now: time.Now}, nil
}

// Start takes a first reading and then one per interval until Stop. It panics if the
// sampler is running.
func (s *Sampler) Start() {
	if s.quit != nil {
		panic(badSamplerStart)
	}
	s.readings, s.err = s.readings[:0], nil
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
func (s *Sampler) Stop() Summary {
	if s.quit == nil {
		panic(badSamplerStop)
	}
	close(s.quit)
	s.done.Wait()
	s.quit = nil
	s.read()
	summary := summarise(s.readings)
	summary.Err = s.err
	return summary
}

// Close stops a running sampler and lets go of the management library.
func (s *Sampler) Close() error {
	if s.quit != nil {
		s.Stop()
	}
	return check("stop", s.lib.Shutdown())
}

func (s *Sampler) read() {
	r, err := read(s.device, s.now(), s.reasons)
	s.readings = append(s.readings, r)
	if s.err == nil {
		s.err = err
	}
}
