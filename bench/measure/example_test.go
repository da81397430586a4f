package measure_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"optin/bench/measure"
)

func ExampleInterleave() {
	sleep := func(d time.Duration) func() error {
		return func() error { time.Sleep(d); return nil }
	}
	options := measure.DefaultOptions()
	options.MinTime, options.MaxTime = 0, time.Second
	result, err := measure.Interleave(context.Background(), []measure.Case{
		{Name: "dense", Func: sleep(20 * time.Millisecond), Work: 32},
		{Name: "pruned", Func: sleep(5 * time.Millisecond), Work: 32},
	}, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	pruned := result.Timings[1]
	fmt.Println(pruned.Name, "is faster:", pruned.Speedup.Low > 1)
	// Output: pruned is faster: true
}

func ExampleMedian() {
	fmt.Println(measure.Median([]float64{11, 12, 10, 11, 13, 11, 90, 12, 11, 12}))
	// Output: 11.5 (11 to 13)
}

func ExampleRatio() {
	// The machine was slow in the third and fourth rounds; the ratio does not mind.
	dense := []float64{20, 20, 60, 60, 20, 20, 20}
	pruned := []float64{10, 10, 30, 30, 10, 10, 10}
	fmt.Println(measure.Ratio(dense, pruned, rand.New(rand.NewPCG(1, 0))))
	// Output: 2 (2 to 2)
}

func ExampleDescribeMachine() {
	m := measure.DescribeMachine()
	fmt.Println(m.Threads > 0, m.Arch != "")
	// Output: true true
}

func ExampleTelemetry_String() {
	fmt.Println(measure.Telemetry{
		Device:    "NVIDIA H100 80GB HBM3, driver 550.54",
		ClockMHz:  measure.SpreadOf([]float64{1700, 1980}),
		Throttles: []measure.Throttle{{Reason: "power limit", Share: 0.5}},
	})
	// Output: NVIDIA H100 80GB HBM3, driver 550.54: 1840 MHz, slowed by power limit in 50 % of readings
}
