package cuda_test

import (
	"fmt"

	"optin/cuda"
)

func ExampleDiscover() {
	found, err := cuda.Discover()
	if err != nil {
		fmt.Println("driver fault:", err)
		return
	}
	for _, d := range found.List {
		fmt.Println(d)
	}
}

func ExampleSummary_String() {
	s := cuda.Summary{
		ClockMHz:     cuda.Range{N: 4, Min: 1700, Mean: 1755, Max: 1980},
		EnergyJoules: 12.5, EnergySource: cuda.EnergyCounter,
		Throttles: []cuda.Throttle{{Reason: "power limit", Share: 0.5}},
	}
	fmt.Println(s)
	// Output: 1755 MHz, 12.5 J, slowed by power limit in 50 % of readings
}
