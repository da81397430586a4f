package cuda

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Image is the compiled kernels of one family.
type Image struct {
	Name string // of the file
	Code []byte // what the driver loads
}

// kernelNames is how the names of kernels stand in machine code, which has a section for each,
// and in code for the driver to compile.
var kernelNames = regexp.MustCompile(`(?:\.text\.|\.entry\s+)(optin_\w+)`)

// Kernels are the names of the kernels in the image, in no order.
func (i Image) Kernels() []string {
	found := make(map[string]bool)
	for _, match := range kernelNames.FindAllSubmatch(i.Code, -1) {
		found[string(match[1])] = true
	}
	return slices.Collect(maps.Keys(found))
}

// ErrNoImages is what [Select] gives where nothing was compiled.
var ErrNoImages = errors.New("no compiled kernels in this build: run \"make cuda\"")

// ErrUnsuitable is in the error of [Select] where what was compiled is for other devices.
var ErrUnsuitable = errors.New("not compiled for compute capability")

// Select picks, for each family of kernels in images, the code that suits a device of the
// given compute capability (80 for 8.0) best: machine code of its generation for as near a
// capability as there is, else code for the driver to compile. The files are called
// FAMILY.sm_NN.cubin and FAMILY.compute_NN.ptx; others are left alone. The order is that of
// the families' names.
func Select(images fs.FS, capability int) ([]Image, error) {
	files, err := fs.ReadDir(images, ".")
	if err != nil {
		return nil, fmt.Errorf("compiled kernels: %w", err)
	}
	best := make(map[string]candidate)
	for _, f := range files {
		family, c, ok := parse(f.Name())
		if !ok {
			continue
		}
		if old, seen := best[family]; !seen || c.suits(capability) > old.suits(capability) {
			best[family] = c
		}
	}
	if len(best) == 0 {
		return nil, ErrNoImages
	}
	return read(images, best, capability)
}

// candidate is a file that may suit.
type candidate struct {
	name   string
	number int // the compute capability that it was made for
	binary bool
}

// parse reads a file's name.
func parse(name string) (family string, c candidate, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return "", c, false
	}
	number, binary := strings.CutPrefix(parts[1], "sm_")
	if !binary {
		number, ok = strings.CutPrefix(parts[1], "compute_")
	}
	n, err := strconv.Atoi(number)
	fits := binary && parts[2] == "cubin" || ok && parts[2] == "ptx"
	return parts[0], candidate{name, n, binary}, err == nil && fits
}

// suits is the larger the better; 0 means not at all.
func (c candidate) suits(capability int) int {
	switch {
	case c.number > capability:
		return 0
	case !c.binary:
		return c.number
	case c.number/10 == capability/10: // machine code runs on its own generation only
		return 1000 + c.number
	}
	return 0
}

func read(images fs.FS, best map[string]candidate, capability int) ([]Image, error) {
	families := make([]string, 0, len(best))
	for family := range best {
		families = append(families, family)
	}
	sort.Strings(families)
	var list []Image
	for _, family := range families {
		c := best[family]
		if c.suits(capability) == 0 {
			return nil, fmt.Errorf("kernels %s are %w %d.%d", family, ErrUnsuitable, capability/10, capability%10)
		}
		code, err := fs.ReadFile(images, c.name)
		if err != nil {
			return nil, fmt.Errorf("compiled kernels: %w", err)
		}
		list = append(list, Image{c.name, code})
	}
	return list, nil
}
