package checkpoint_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"optin/bench/model/checkpoint"
)

// Write a checkpoint in half precision and read it back.
func Example() {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	weight := []float32{0.5, -1, 0.1}
	err = checkpoint.Write(filepath.Join(dir, checkpoint.SafetensorsFile), []checkpoint.Source{{
		Name: "classifier.weight", DType: checkpoint.F16, Shape: []int{1, 3},
		Float32: func(dst []float32) error { copy(dst, weight); return nil },
	}}, nil)
	if err != nil {
		log.Fatal(err)
	}

	c, err := checkpoint.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, name := range c.Names() {
		t, _ := c.Tensor(name)
		values, err := c.ReadFloat32(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, t.DType, t.Shape, values)
	}
	// Output: classifier.weight F16 [1 3] [0.5 -1 0.099975586]
}
