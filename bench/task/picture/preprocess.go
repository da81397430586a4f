package picture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ConfigFile is the file of a model's folder that says how to treat images.
const ConfigFile = "preprocessor_config.json"

// Config holds the keys of preprocessor_config.json, with the defaults of
// ViTImageProcessor.
type Config struct {
	Resize     bool      `json:"do_resize"`      // default true
	Size       Size      `json:"size"`           // default 224 x 224; a number means a square
	Resample   Filter    `json:"resample"`       // default 2, bilinear (DeiT files say 3, bicubic)
	CentreCrop bool      `json:"do_center_crop"` // default false (DeiT: true)
	CropSize   Size      `json:"crop_size"`      // default 224 x 224
	Rescale    bool      `json:"do_rescale"`     // default true
	Factor     float64   `json:"rescale_factor"` // default 1/255
	Normalize  bool      `json:"do_normalize"`   // default true
	Mean       []float64 `json:"image_mean"`     // default 0.5 per channel
	Std        []float64 `json:"image_std"`      // default 0.5 per channel
	Type       string    `json:"image_processor_type,omitempty"`
}

// DefaultConfig is what ViTImageProcessor does without a file.
func DefaultConfig() Config {
	return Config{
		Resize: true, Size: Size{Height: 224, Width: 224}, Resample: Bilinear,
		CropSize: Size{Height: 224, Width: 224},
		Rescale:  true, Factor: 1.0 / 255,
		Normalize: true, Mean: []float64{0.5}, Std: []float64{0.5},
	}
}

// deitConfig is what DeiTImageProcessor does without further keys.
func deitConfig() Config {
	c := DefaultConfig()
	c.Size, c.Resample, c.CentreCrop = Size{Height: 256, Width: 256}, Bicubic, true
	c.Mean, c.Std = []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
	return c
}

// ReadConfig reads preprocessor_config.json of a model's folder.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("no %s in %s: it says how the model wants its images (size, mean, std); copy it from the model's source", ConfigFile, dir)
	}
	if err != nil {
		return Config{}, err
	}
	c, err := parseConfig(b)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parseConfig reads the keys; a null counts as not set. Processors of other
// models may add keys, which are for them.
func parseConfig(b []byte) (Config, error) {
	var kind struct {
		Type string `json:"image_processor_type"`
		Old  string `json:"feature_extractor_type"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return Config{}, fmt.Errorf("not the JSON object that belongs there (%v); download it again", err)
	}
	c := DefaultConfig()
	switch kind.Type + kind.Old {
	case "DeiTImageProcessor", "DeiTImageProcessorFast", "DeiTFeatureExtractor", "DeiTImageProcessorPil":
		c = deitConfig()
	}
	mean, std := c.Mean, c.Std
	if err := json.Unmarshal(b, &c); err != nil {
		return Config{}, fmt.Errorf("not the JSON object that belongs there (%v); download it again", err)
	}
	if c.Mean == nil {
		c.Mean = mean
	}
	if c.Std == nil {
		c.Std = std
	}
	return c, c.check()
}

func (c Config) check() error {
	if c.Resize {
		if err := c.Size.check("size"); err != nil {
			return err
		}
		if c.Resample != Nearest {
			if _, _, err := c.Resample.kernel(); err != nil {
				return err
			}
		}
	}
	if c.CentreCrop {
		if c.CropSize.ShortestEdge != 0 {
			return errors.New("crop_size: wants a number or {height, width}")
		}
		if err := c.CropSize.check("crop_size"); err != nil {
			return err
		}
	}
	if c.Normalize {
		if len(c.Mean) == 0 || len(c.Mean) != len(c.Std) {
			return fmt.Errorf("image_mean has %d values and image_std %d; want one of each per channel", len(c.Mean), len(c.Std))
		}
		for i, s := range c.Std {
			if !(s > 0) {
				return fmt.Errorf("image_std[%d] is %g, want more than 0", i, s)
			}
		}
	}
	return nil
}

// Preprocessor turns images into pixels for one model. It is safe for
// concurrent use.
type Preprocessor struct {
	cfg           Config
	channels      int
	width, height int
	table         [][256]float32 // per channel: the value of every 8-bit pixel
}

// NewPreprocessor returns the preprocessor of a model that takes images of
// the given channels and size. A config whose result has another size is an
// error, unless no step of it sets the size: then each image is checked.
func NewPreprocessor(c Config, channels, width, height int) (*Preprocessor, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if channels != 1 && channels != 3 {
		return nil, fmt.Errorf("the model takes images of %d channels; 1 and 3 are supported", channels)
	}
	p := &Preprocessor{cfg: c, channels: channels, width: width, height: height, table: make([][256]float32, channels)}
	if w, h, known := c.result(); known && (w != width || h != height) {
		return nil, fmt.Errorf("%s makes images of %d x %d, but the model takes %d x %d", ConfigFile, w, h, width, height)
	}
	if n := len(c.Mean); c.Normalize && n != 1 && n != channels {
		return nil, fmt.Errorf("%s: image_mean has %d values for the model's %d channels", ConfigFile, n, channels)
	}
	for ch := range p.table {
		for v := range p.table[ch] {
			p.table[ch][v] = c.value(v, ch)
		}
	}
	return p, nil
}

// result is the size of every image that comes out, where the config fixes it.
func (c Config) result() (width, height int, known bool) {
	switch {
	case c.CentreCrop:
		return c.CropSize.Width, c.CropSize.Height, true
	case c.Resize && c.Size.ShortestEdge == 0:
		return c.Size.Width, c.Size.Height, true
	}
	return 0, 0, false
}

// value is the number the model sees for an 8-bit value of a channel.
func (c Config) value(v, channel int) float32 {
	x := float64(v)
	if c.Rescale {
		x *= c.Factor
	}
	if c.Normalize {
		i := min(channel, len(c.Mean)-1)
		x = (x - c.Mean[i]) / c.Std[i]
	}
	return float32(x)
}

// Len is the number of values of one image: channels x height x width.
func (p *Preprocessor) Len() int { return p.channels * p.width * p.height }

// Apply returns the pixels of an image, (channels, height, width).
func (p *Preprocessor) Apply(m *Image) ([]float32, error) {
	m, err := p.shape(m)
	if err != nil {
		return nil, err
	}
	out := make([]float32, p.Len())
	plane := p.width * p.height
	for ch := range p.channels {
		table, to := &p.table[ch], out[ch*plane:(ch+1)*plane]
		for i := range to {
			to[i] = table[m.Pix[i*p.channels+ch]]
		}
	}
	return out, nil
}

// shape makes an image the model's size and channels, still in 8 bits.
func (p *Preprocessor) shape(m *Image) (*Image, error) {
	m, err := m.WithChannels(p.channels)
	if err != nil {
		return nil, err
	}
	if p.cfg.Resize {
		w, h := p.cfg.Size.of(m)
		if m, err = m.Resize(w, h, p.cfg.Resample); err != nil {
			return nil, err
		}
	}
	if p.cfg.CentreCrop {
		m = m.CentreCrop(p.cfg.CropSize.Width, p.cfg.CropSize.Height)
	}
	if m.Width != p.width || m.Height != p.height {
		return nil, fmt.Errorf("the image is %d x %d after %s, but the model takes %d x %d: give pictures of that size, or set do_resize there", m.Width, m.Height, ConfigFile, p.width, p.height)
	}
	return m, nil
}
