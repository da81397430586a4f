package task

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"optin/bench/task/metric"
)

// cifar describes CIFAR-10 or CIFAR-100 in the official binary layout: label
// bytes, then 32 x 32 red, green and blue planes.
type cifar struct {
	dir    string // of the official archive
	labels []string
	bytes  int // label bytes of a record; the last is the label used
	names  string
	train  []string
	dev    []string
	test   []string
}

const (
	cifarSide   = 32
	cifarPixels = 3 * cifarSide * cifarSide
	// cifarDev is how many of the training pictures of CIFAR-100, the last
	// ones, are held out as dev. Of CIFAR-10 it is the fifth batch file.
	cifarDev = 10000
)

// openCIFAR10 is CIFAR-10: train is the first four batches, dev the fifth.
func openCIFAR10(cfg Config) (*Task, error) {
	c := cifar{
		dir: "cifar-10-batches-bin", bytes: 1, names: "batches.meta.txt",
		labels: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
		train:  []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin"},
		dev:    []string{"data_batch_5.bin"}, test: []string{"test_batch.bin"},
	}
	return c.open(cfg)
}

// openCIFAR100 is CIFAR-100 with its 100 fine labels: train is the first
// 40,000 training pictures, dev the last 10,000.
func openCIFAR100(cfg Config) (*Task, error) {
	c := cifar{
		dir: "cifar-100-binary", bytes: 2, names: "fine_label_names.txt", labels: cifar100Labels(),
		train: []string{"train.bin"}, dev: []string{"train.bin"}, test: []string{"test.bin"},
	}
	return c.open(cfg)
}

func (c cifar) open(cfg Config) (*Task, error) {
	dir := orDefault(cfg.Path, filepath.Join("data", c.dir))
	if inside := filepath.Join(dir, c.dir); exists(inside) {
		dir = inside
	}
	path := filepath.Join(dir, c.names)
	switch b, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if names := strings.Fields(string(b)); len(names) == len(c.labels) {
			c.labels = names
		} else {
			return nil, fmt.Errorf("%s: %d names, want %d", path, len(names), len(c.labels))
		}
	}
	return &Task{
		Kind: Picture, Labels: c.labels, Metrics: []string{metric.Accuracy},
		load: func(split string) (*Dataset, error) { return c.load(dir, split) },
	}, nil
}

func (c cifar) load(dir, split string) (*Dataset, error) {
	files := map[string][]string{Train: c.train, Dev: c.dev, Test: c.test}[split]
	var data []byte
	record := c.bytes + cifarPixels
	for _, name := range files {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, orMissing(err, "CIFAR", path, fmt.Sprintf(
				"download the binary version from https://www.cs.toronto.edu/~kriz/cifar.html, unpack it, and set path to the folder %s", c.dir))
		}
		if len(b)%record != 0 || len(b) == 0 {
			return nil, fmt.Errorf("%s: %d bytes, want a multiple of %d (labels and a picture); the file is cut short or not the binary version", path, len(b), record)
		}
		for i := 0; i < len(b); i += record {
			if l := int(b[i+c.bytes-1]); l >= len(c.labels) {
				return nil, fmt.Errorf("%s: picture %d has label %d, want 0 to %d", path, i/record, l, len(c.labels)-1)
			}
		}
		data = append(data, b...)
	}
	if n := len(data) / record; len(c.dev) == 1 && c.dev[0] == c.train[0] && split != Test {
		if n <= cifarDev {
			return nil, fmt.Errorf("%s: %d training pictures, too few to hold out %d for dev", dir, n, cifarDev)
		}
		if cut := (n - cifarDev) * record; split == Train {
			data = data[:cut]
		} else {
			data = data[cut:]
		}
	}
	return &Dataset{n: len(data) / record, example: func(i int) (Example, error) {
		rec := data[i*record : (i+1)*record]
		return Example{Image: fromPlanes(rec[c.bytes:]), Label: int(rec[c.bytes-1])}, nil
	}}, nil
}

// fromPlanes interleaves a picture's three planes.
func fromPlanes(planes []byte) *Image {
	const plane = cifarSide * cifarSide
	m := &Image{Width: cifarSide, Height: cifarSide, Channels: 3, Pix: make([]uint8, cifarPixels)}
	for i := range plane {
		m.Pix[3*i], m.Pix[3*i+1], m.Pix[3*i+2] = planes[i], planes[plane+i], planes[2*plane+i]
	}
	return m
}

// cifar100Labels are the fine labels in the official order, the alphabet's.
func cifar100Labels() []string {
	return strings.Fields(`apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
		butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
		dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
		lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
		pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
		shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
		television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm`)
}
