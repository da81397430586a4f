package cuda

import (
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Devices is what NVIDIA hardware and software this machine has.
type Devices struct {
	Driver string   // version of the driver, "" if there is none
	CUDA   string   // newest CUDA version the driver can run, such as "12.4"
	List   []Device // in the order of the management library, which is that of the bus
	Absent string   // why List is empty, for people; "" if it is not
	Hidden bool     // there may be devices to compute on: the driver's library is there, and not the one that lists them
	Faults []error  // of devices that do not answer, and are not in List
}

// Device describes one device. A number that it does not report is 0.
type Device struct {
	Index            int     // in the management library; CUDA may count differently
	Name             string  // such as "NVIDIA H100 80GB HBM3"
	UUID             string  // names the device whatever the order
	Bus              string  // PCI address, such as "00000000:04:00.0"
	Major, Minor     int     // compute capability
	MemoryBytes      int64   // installed
	MemoryFreeBytes  int64   // when it was asked
	MaxClockMHz      int     // of the multiprocessors
	MaxMemoryMHz     int     // clock of the memory
	PowerLimitWatts  float64 // that is enforced now
	TemperatureLimit int     // degrees Celsius at which the device slows itself down
}

// String is one line for people.
func (d Device) String() string {
	return fmt.Sprintf("%s (compute %d.%d, %.1f GiB, %d MHz, %.0f W)",
		d.Name, d.Major, d.Minor, float64(d.MemoryBytes)/(1<<30), d.MaxClockMHz, d.PowerLimitWatts)
}

// Discover lists the devices of this machine. That there are none is not an error: List
// is then empty and Absent says why. An error means that the driver is there and fails; of a
// device that does, alone, Faults tells.
func Discover() (Devices, error) {
	return discover(nvml.New())
}

func discover(lib nvml.Interface) (found Devices, err error) {
	status := lib.Init()
	if found.Absent = absence(status); found.Absent != "" {
		found.Hidden = status == nvml.ERROR_LIBRARY_NOT_FOUND && present("libcuda.so.1")
		return found, nil
	}
	if err := check("start", status); err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, check("stop", lib.Shutdown())) }()

	version, status := lib.SystemGetDriverVersion()
	if found.Driver, err = supported("driver version", version, status); err != nil {
		return found, err
	}
	number, status := lib.SystemGetCudaDriverVersion_v2()
	if number, err = supported("CUDA version", number, status); err != nil {
		return found, err
	}
	if number > 0 {
		found.CUDA = fmt.Sprintf("%d.%d", number/1000, number%1000/10)
	}

	count, status := lib.DeviceGetCount()
	if err := check("count devices", status); err != nil {
		return found, err
	}
	for i := range count {
		device, err := describe(lib, i)
		if err != nil {
			found.Faults = append(found.Faults, fmt.Errorf("device %d: %w", i, err))
			continue
		}
		found.List = append(found.List, device)
	}
	if count == 0 {
		found.Absent = "the NVIDIA driver found no device"
	} else if len(found.List) == 0 {
		found.Absent = "no device answers the NVIDIA driver"
	}
	return found, nil
}

// present says whether the loader finds a library.
func present(library string) bool {
	l := dl.New(library, dl.RTLD_LAZY|dl.RTLD_LOCAL)
	if l.Open() != nil {
		return false
	}
	_ = l.Close() // it was only looked for
	return true
}

// describe asks device i for everything that Device holds.
func describe(lib nvml.Interface, i int) (Device, error) {
	d := Device{Index: i}
	handle, status := lib.DeviceGetHandleByIndex(i)
	if err := check("open", status); err != nil {
		return d, err
	}

	var errs [9]error
	name, status := handle.GetName()
	d.Name, errs[0] = supported("name", name, status)
	uuid, status := handle.GetUUID()
	d.UUID, errs[1] = supported("UUID", uuid, status)
	bus, status := handle.GetPciInfo()
	bus, errs[2] = supported("PCI address", bus, status)
	d.Bus = text(bus.BusId[:])

	major, minor, status := handle.GetCudaComputeCapability()
	capability, err := supported("compute capability", [2]int{major, minor}, status)
	d.Major, d.Minor, errs[3] = capability[0], capability[1], err

	memory, status := handle.GetMemoryInfo()
	memory, errs[4] = supported("memory", memory, status)
	d.MemoryBytes, d.MemoryFreeBytes = int64(memory.Total), int64(memory.Free)

	clock, status := handle.GetMaxClockInfo(nvml.CLOCK_SM)
	clock, errs[5] = supported("clock", clock, status)
	d.MaxClockMHz = int(clock)
	clock, status = handle.GetMaxClockInfo(nvml.CLOCK_MEM)
	clock, errs[6] = supported("memory clock", clock, status)
	d.MaxMemoryMHz = int(clock)

	milliwatts, status := handle.GetEnforcedPowerLimit()
	milliwatts, errs[7] = supported("power limit", milliwatts, status)
	d.PowerLimitWatts = float64(milliwatts) / 1000

	limit, status := handle.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SLOWDOWN)
	limit, errs[8] = supported("temperature limit", limit, status)
	d.TemperatureLimit = int(limit)

	return d, errors.Join(errs[:]...)
}
