package cuda

import (
	"errors"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// reading is the state of a device at one moment, by quantity; what the device does not
// report is not in it. reasons are bits of nvml.ClocksEventReason….
type reading struct {
	values       map[quantity]float64
	reasons      uint64
	reasonsKnown bool
}

// quantity is something that a device can report.
type quantity uint8

const (
	clockMHz quantity = iota
	memoryMHz
	powerWatts
	celsius
	busyPercent
	memoryBusyPercent
	memoryBytes
)

// read asks device for everything. Throttle reasons are asked for only if the driver has the
// call (since version 535): a missing one would end the program.
func read(device nvml.Device, reasonsToo bool) (reading, error) {
	r := reading{values: make(map[quantity]float64)}
	var errs []error
	// answered says whether there is an answer, and notes a fault.
	answered := func(what string, status nvml.Return) bool {
		switch status {
		case nvml.SUCCESS:
			return true
		case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_NO_PERMISSION:
		default:
			errs = append(errs, check(what, status))
		}
		return false
	}
	if mhz, status := device.GetClockInfo(nvml.CLOCK_SM); answered("clock", status) {
		r.values[clockMHz] = float64(mhz)
	}
	if mhz, status := device.GetClockInfo(nvml.CLOCK_MEM); answered("memory clock", status) {
		r.values[memoryMHz] = float64(mhz)
	}
	if milliwatts, status := device.GetPowerUsage(); answered("power", status) {
		r.values[powerWatts] = float64(milliwatts) / 1000
	}
	if degrees, status := device.GetTemperature(nvml.TEMPERATURE_GPU); answered("temperature", status) {
		r.values[celsius] = float64(degrees)
	}
	if use, status := device.GetUtilizationRates(); answered("utilisation", status) {
		r.values[busyPercent], r.values[memoryBusyPercent] = float64(use.Gpu), float64(use.Memory)
	}
	if memory, status := device.GetMemoryInfo(); answered("memory", status) {
		r.values[memoryBytes] = float64(memory.Used)
	}
	if reasonsToo {
		reasons, status := device.GetCurrentClocksEventReasons()
		r.reasons, r.reasonsKnown = reasons, answered("throttle reasons", status)
	}
	return r, errors.Join(errs...)
}

// text is the string in a zero-terminated C array of int8 or uint8.
func text[T int8 | uint8](c []T) string {
	var b []byte
	for _, x := range c {
		if x == 0 {
			break
		}
		b = append(b, byte(x))
	}
	return string(b)
}
