package cuda

import (
	"errors"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// reading is the state of a device at one moment. has says what it reported.
type reading struct {
	at            time.Time
	clockMHz      float64
	memoryMHz     float64
	powerWatts    float64
	celsius       float64
	busyPercent   float64
	memoryPercent float64
	energyJoules  float64 // since the driver was loaded
	reasons       uint64  // bits of nvml.ClocksEventReason…
	has           quantity
}

// quantity is a set of things a device can report.
type quantity uint

const (
	hasClock quantity = 1 << iota
	hasMemoryClock
	hasPower
	hasTemperature
	hasUse
	hasEnergy
	hasReasons
)

// read asks device for everything; what it does not support is left out of has.
// Throttle reasons are asked for only if the driver has the call (since version 535):
// a missing one would end the program.
func read(device nvml.Device, now time.Time, reasonsToo bool) (reading, error) {
	r := reading{at: now}
	var errs []error
	// keep notes an answer: usable, not offered, or an error.
	keep := func(what string, status nvml.Return, is quantity) {
		switch status {
		case nvml.SUCCESS:
			r.has |= is
		case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_NO_PERMISSION:
		default:
			errs = append(errs, check(what, status))
		}
	}

	clock, status := device.GetClockInfo(nvml.CLOCK_SM)
	keep("clock", status, hasClock)
	r.clockMHz = float64(clock)
	clock, status = device.GetClockInfo(nvml.CLOCK_MEM)
	keep("memory clock", status, hasMemoryClock)
	r.memoryMHz = float64(clock)
	milliwatts, status := device.GetPowerUsage()
	keep("power", status, hasPower)
	r.powerWatts = float64(milliwatts) / 1000
	celsius, status := device.GetTemperature(nvml.TEMPERATURE_GPU)
	keep("temperature", status, hasTemperature)
	r.celsius = float64(celsius)
	use, status := device.GetUtilizationRates()
	keep("utilisation", status, hasUse)
	r.busyPercent, r.memoryPercent = float64(use.Gpu), float64(use.Memory)
	millijoules, status := device.GetTotalEnergyConsumption()
	keep("energy", status, hasEnergy)
	r.energyJoules = float64(millijoules) / 1000
	if reasonsToo {
		reasons, status := device.GetCurrentClocksEventReasons()
		keep("throttle reasons", status, hasReasons)
		r.reasons = reasons
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
