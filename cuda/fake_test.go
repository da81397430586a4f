package cuda

import (
	"errors"
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// fakeLibrary stands in for the management library. A call that it does not have panics,
// because the embedded interface is nil.
type fakeLibrary struct {
	nvml.Interface
	nvml.ExtendedInterface
	start, stop nvml.Return
	devices     []*fakeDevice
	noReasons   bool // an old driver

	started, stopped int
}

func (f *fakeLibrary) Init() nvml.Return     { f.started++; return f.start }
func (f *fakeLibrary) Shutdown() nvml.Return { f.stopped++; return f.stop }
func (f *fakeLibrary) SystemGetDriverVersion() (string, nvml.Return) {
	return "550.54", nvml.SUCCESS
}
func (f *fakeLibrary) SystemGetCudaDriverVersion_v2() (int, nvml.Return) { return 12040, nvml.SUCCESS }
func (f *fakeLibrary) DeviceGetCount() (int, nvml.Return)                { return len(f.devices), nvml.SUCCESS }
func (f *fakeLibrary) DeviceGetHandleByIndex(i int) (nvml.Device, nvml.Return) {
	if f.devices[i].lost {
		return nil, nvml.ERROR_GPU_IS_LOST
	}
	return f.devices[i], nvml.SUCCESS
}
func (f *fakeLibrary) DeviceGetHandleByUUID(uuid string) (nvml.Device, nvml.Return) {
	for _, d := range f.devices {
		if d.uuid == uuid {
			return d, nvml.SUCCESS
		}
	}
	return nil, nvml.ERROR_NOT_FOUND
}
func (f *fakeLibrary) Extensions() nvml.ExtendedInterface { return f }
func (f *fakeLibrary) LookupSymbol(string) error {
	if f.noReasons {
		return errors.New("undefined symbol")
	}
	return nil
}

// fakeDevice is a device whose every reading adds 1 to its clock.
type fakeDevice struct {
	nvml.Device
	uuid        string
	bare        bool        // reports nothing that it may leave out
	broken      nvml.Return // status of the clock
	lost        bool        // does not answer
	mu          sync.Mutex
	reads       int
	throttledAt map[int]uint64 // by number of reading, from 1
	millijoules func() uint64  // its energy counter; called with mu held
}

func (d *fakeDevice) optional() nvml.Return {
	if d.bare {
		return nvml.ERROR_NOT_SUPPORTED
	}
	return nvml.SUCCESS
}

func (d *fakeDevice) GetName() (string, nvml.Return) { return "Fake GPU", nvml.SUCCESS }
func (d *fakeDevice) GetUUID() (string, nvml.Return) { return d.uuid, nvml.SUCCESS }
func (d *fakeDevice) GetPciInfo() (nvml.PciInfo, nvml.Return) {
	var p nvml.PciInfo
	for i, c := range []byte("00000000:04:00.0") {
		p.BusId[i] = int8(c)
	}
	return p, nvml.SUCCESS
}
func (d *fakeDevice) GetCudaComputeCapability() (int, int, nvml.Return) { return 9, 0, nvml.SUCCESS }
func (d *fakeDevice) GetMemoryInfo() (nvml.Memory, nvml.Return) {
	return nvml.Memory{Total: 80 << 30, Free: 79 << 30, Used: 1 << 30}, nvml.SUCCESS
}
func (d *fakeDevice) GetMaxClockInfo(c nvml.ClockType) (uint32, nvml.Return) {
	if c == nvml.CLOCK_MEM {
		return 2619, nvml.SUCCESS
	}
	return 1980, nvml.SUCCESS
}
func (d *fakeDevice) GetEnforcedPowerLimit() (uint32, nvml.Return) { return 700_000, d.optional() }
func (d *fakeDevice) GetTemperatureThreshold(nvml.TemperatureThresholds) (uint32, nvml.Return) {
	return 90, d.optional()
}

func (d *fakeDevice) GetClockInfo(c nvml.ClockType) (uint32, nvml.Return) {
	if c == nvml.CLOCK_MEM {
		return 2619, nvml.SUCCESS
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return 1000 + uint32(d.reads), d.broken
}
func (d *fakeDevice) GetPowerUsage() (uint32, nvml.Return) { return 350_500, d.optional() }
func (d *fakeDevice) GetTemperature(nvml.TemperatureSensors) (uint32, nvml.Return) {
	return 61, nvml.SUCCESS
}
func (d *fakeDevice) GetUtilizationRates() (nvml.Utilization, nvml.Return) {
	return nvml.Utilization{Gpu: 97, Memory: 40}, d.optional()
}
func (d *fakeDevice) GetTotalEnergyConsumption() (uint64, nvml.Return) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.bare {
		return 0, nvml.ERROR_NOT_SUPPORTED
	}
	return d.millijoules(), nvml.SUCCESS
}
func (d *fakeDevice) GetCurrentClocksEventReasons() (uint64, nvml.Return) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.throttledAt[d.reads], nvml.SUCCESS
}
