package kerneltest_test

import (
	"fmt"
	"log"

	"optin/kernels/kerneltest"
	"optin/kernels/ref"
)

func ExampleCheck() {
	dev, err := ref.New(2)
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	results, err := kerneltest.Check(dev, kerneltest.Options{Seed: 1, Ops: []string{"Softmax"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		if !r.OK {
			fmt.Println(r)
		}
	}
	// Output:
}
