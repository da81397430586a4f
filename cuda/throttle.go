package cuda

import "github.com/NVIDIA/go-nvml/pkg/nvml"

// throttleReasons are the bits that mean a slower result. That the device was idle, or
// that someone fixed its clocks on purpose, is not among them.
func throttleReasons() []struct {
	bit  uint64
	name string
} {
	return []struct {
		bit  uint64
		name string
	}{
		{nvml.ClocksEventReasonSwPowerCap, "power limit"},
		{nvml.ClocksThrottleReasonHwSlowdown, "hardware slowdown"},
		{nvml.ClocksEventReasonSwThermalSlowdown, "temperature, by the driver"},
		{nvml.ClocksThrottleReasonHwThermalSlowdown, "temperature, by the hardware"},
		{nvml.ClocksThrottleReasonHwPowerBrakeSlowdown, "power brake of the machine"},
		{nvml.ClocksEventReasonSyncBoost, "kept in step with a slower device"},
		{nvml.ClocksEventReasonBoardLimit, "voltage or current limit of the board"},
		{nvml.ClocksEventReasonReliability, "reliability limit of the chip"},
	}
}
