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
