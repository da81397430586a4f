package task

import (
	"fmt"
	"os"
	"path/filepath"

	"optin/bench/task/metric"
)

const (
	fashionDir    = "/usr/share/datasets/fashion-mnist"
	fashionRemedy = "install the Debian package dataset-fashion-mnist, or set path to a folder with train-images-idx3-ubyte.gz and the three other files of https://github.com/zalandoresearch/fashion-mnist"
	// fashionDev is how many of the training images, the last ones, are held
	// out as dev. The recipe of the bundled checkpoint holds out the same.
	fashionDev = 5000
)

// openFashion is Fashion-MNIST: 28 x 28 grey pictures of ten kinds of clothes.
// train is the first 55,000 training images, dev the last 5,000, test the
// 10,000 test images. The variable OPTIN_FASHION_MNIST may name another folder. A training file of 5,000 images or fewer has no dev.
func openFashion(cfg Config) (*Task, error) {
	dir := orDefault(cfg.Path, orDefault(os.Getenv("OPTIN_FASHION_MNIST"), fashionDir))
	return &Task{
		Kind: Picture,
		Labels: []string{
			"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
		},
		Metrics: []string{metric.Accuracy},
		load:    func(split string) (*Dataset, error) { return loadFashion(dir, split) },
	}, nil
}

func loadFashion(dir, split string) (*Dataset, error) {
	prefix := "train"
	if split == Test {
		prefix = "t10k"
	}
	images, err := readFashion(dir, prefix+"-images-idx3-ubyte", 3)
	if err != nil {
		return nil, err
	}
	labels, err := readFashion(dir, prefix+"-labels-idx1-ubyte", 1)
	if err != nil {
		return nil, err
	}
	n := images.dims[0]
	if n != labels.dims[0] {
		return nil, fmt.Errorf("%s: %d images but %d labels in the %s files", dir, n, labels.dims[0], prefix)
	}
	for i, l := range labels.data {
		if l > 9 {
			return nil, fmt.Errorf("%s: label %d of the %s file is %d, want 0 to 9", dir, i, prefix, l)
		}
	}
	first, last := 0, n
	switch held := min(fashionDev, n); split {
	case Train:
		if n > held {
			last = n - held
		}
	case Dev:
		first = n - held
		if first == 0 {
			return nil, fmt.Errorf("%s: a training file of %d images has none to hold out for dev", dir, n)
		}
	}
	height, width := images.dims[1], images.dims[2]
	size := height * width
	return &Dataset{n: last - first, example: func(i int) (Example, error) {
		i += first
		return Example{
			Image: &Image{Width: width, Height: height, Channels: 1, Pix: images.data[i*size : (i+1)*size]},
			Label: int(labels.data[i]),
		}, nil
	}}, nil
}

// readFashion reads NAME.gz, else NAME.
func readFashion(dir, name string, dims int) (idx, error) {
	path := filepath.Join(dir, name+".gz")
	if _, err := os.Stat(path); err != nil {
		if plain := filepath.Join(dir, name); exists(plain) {
			path = plain
		}
	}
	a, err := readIDX(path, dims)
	return a, orMissing(err, "Fashion-MNIST", path, fashionRemedy)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
