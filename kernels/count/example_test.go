package count_test

import (
	"context"
	"fmt"
	"log"

	"optin/kernels"
	"optin/kernels/count"
)

// The weights are never read: there are none.
func ExampleNew() {
	dev := count.New()
	defer dev.Close()
	up, down := kernels.NewWeight("up", 3072, 768, nil), kernels.NewWeight("down", 768, 3072, nil)
	err := dev.One(context.Background(), func(ops kernels.Ops) error {
		x := ops.New(kernels.F32, 128, 768)
		h := ops.Linear(x, up, kernels.Epilogue{Act: kernels.GELU})
		ops.Linear(h, down, kernels.Epilogue{Residual: x})
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dev.Tally().MACs, "MACs")
	// Output: 603979776 MACs
}
