package ref_test

import (
	"context"
	"fmt"
	"log"

	"optin/kernels"
	"optin/kernels/ref"
)

func ExampleNew() {
	dev, err := ref.New(1)
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	w := kernels.WeightOf("w", 1, 2, []float32{3, 4}) // [out, in]
	err = dev.One(context.Background(), func(ops kernels.Ops) error {
		x := ops.Upload(2, 2, []float32{1, 1, 1, -1})
		y := ops.Linear(x, w, kernels.Epilogue{Act: kernels.ReLU})
		values := make([]float64, y.Len())
		ops.Download(y, values)
		fmt.Println(values)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: [7 0]
}
