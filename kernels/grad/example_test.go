package grad_test

import (
	"context"
	"fmt"
	"log"

	"optin/kernels"
	"optin/kernels/grad"
	"optin/kernels/ref"
)

func ExampleTape() {
	dev, err := ref.New(1)
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	w := kernels.WeightOf("w", 2, 2, []float32{1, 2, 3, -4}) // [out, in]
	err = dev.One(context.Background(), func(ops kernels.Ops) error {
		tape, err := grad.New(ops)
		if err != nil {
			return err
		}
		x, one := ops.Upload(1, 2, []float32{1, 1}), ops.Upload(1, 2, []float32{1, 1})
		dx, dw, dmask := ops.Upload(1, 2, make([]float32, 2)), ops.Upload(2, 2, make([]float32, 4)), ops.New(kernels.F64, 1, 2)

		mask := tape.Mask(2)
		y := tape.Linear(x, w, kernels.Epilogue{Act: kernels.ReLU, Mask: mask})
		tape.Pull(grad.Pull{
			Results: []*kernels.Tensor{y}, Gradients: []*kernels.Tensor{one}, // the scalar is the sum of y
			Inputs: []*kernels.Tensor{x}, Into: []*kernels.Tensor{dx},
			Masks:   []grad.MaskSum{{Mask: mask, Dst: dmask}},
			Weights: func(*kernels.Weight) *kernels.Tensor { return dw },
		})
		for _, t := range []*kernels.Tensor{y, dx, dw, dmask} {
			values := make([]float64, t.Len())
			ops.Download(t, values)
			fmt.Println(values)
		}
		tape.Reset()
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// [3 0]
	// [1 2]
	// [1 1 0 0]
	// [3 0]
}
