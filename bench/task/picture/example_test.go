package picture_test

import (
	"fmt"
	"log"

	"optin/bench/task/picture"
)

func ExamplePreprocessor() {
	cfg := picture.DefaultConfig()
	cfg.Size = picture.Size{Height: 1, Width: 2}
	p, err := picture.NewPreprocessor(cfg, 1, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	pixels, err := p.Apply(&picture.Image{Width: 4, Height: 1, Channels: 1, Pix: []uint8{0, 0, 255, 255}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.2f\n", pixels)
	// Output: [-0.72 0.72]
}
