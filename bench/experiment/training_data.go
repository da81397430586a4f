package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math"
	"slices"

	"optin/bench/model"
	"optin/bench/task"
)

// lesson is the training split as package train reads it. Texts, and images up
// to a limit, are kept in memory.
type lesson struct {
	config  *model.Config
	encoder *task.Encoder
	data    *task.Dataset
	encoded []task.Encoded // nil: decode when asked
	digest  string
}

// lessonMemory is the most that decoded images may take, in bytes.
const lessonMemory = 1 << 31

// openLesson encodes the training split, at most limit examples of it, spread
// evenly (0: all).
func openLesson(data *task.Dataset, e *task.Encoder, c *model.Config, limit int) (_ *lesson, err error) {
	if limit > 0 {
		data = data.Spread(limit)
	}
	l := &lesson{config: c, encoder: e, data: data}
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %q\n", data.Len(), data.Files)
	if c.Text() || 4*c.Channels*c.ImageHeight*c.ImageWidth*data.Len() <= lessonMemory {
		l.encoded = make([]task.Encoded, data.Len())
		for i := range l.encoded {
			if l.encoded[i], err = l.one(i); err != nil {
				return nil, err
			}
			hashExample(sum, l.encoded[i])
		}
	}
	l.digest = fmt.Sprintf("%x", sum.Sum(nil)[:16])
	return l, nil
}

// hashExample adds all that a model takes and is to give.
func hashExample(sum hash.Hash, e task.Encoded) {
	text := binary.LittleEndian.AppendUint64(nil, math.Float64bits(e.Target))
	for _, v := range []int{e.Label, len(e.IDs), len(e.Pixels)} {
		text = binary.LittleEndian.AppendUint64(text, uint64(v))
	}
	for i, id := range e.IDs {
		text = binary.LittleEndian.AppendUint32(text, uint32(id))
		text = binary.LittleEndian.AppendUint32(text, uint32(e.TypeIDs[i]))
	}
	for _, v := range e.Pixels {
		text = binary.LittleEndian.AppendUint32(text, math.Float32bits(v))
	}
	sum.Write(text)
}

func (l *lesson) one(i int) (task.Encoded, error) {
	ex, err := l.data.Example(i)
	if err != nil {
		return task.Encoded{}, err
	}
	return l.encoder.Encode(ex)
}

// compared is the number of examples on which two encoders must agree.
const compared = 64

// check makes sure that another model's encoder, such as a teacher's, gives the
// same inputs.
func (l *lesson) check(other *task.Encoder) error {
	n := min(compared, l.Len())
	for k := range n {
		i := k * l.Len() / n
		ours, err := l.Example(i)
		if err != nil {
			return err
		}
		ex, err := l.data.Example(i)
		if err != nil {
			return err
		}
		theirs, err := other.Encode(ex)
		if err != nil {
			return err
		}
		if !slices.Equal(ours.IDs, theirs.IDs) || !slices.Equal(ours.TypeIDs, theirs.TypeIDs) || !slices.Equal(ours.Pixels, theirs.Pixels) {
			return fmt.Errorf("its tokenizer or preprocessor turns training example %d into other inputs than the model's: give a teacher that takes the same inputs", i)
		}
	}
	return nil
}

func (l *lesson) Len() int { return l.data.Len() }

func (l *lesson) Tokens(i int) int {
	if l.config.Text() {
		return len(l.encoded[i].IDs)
	}
	return l.config.Tokens()
}

func (l *lesson) Example(i int) (task.Encoded, error) {
	if l.encoded != nil {
		return l.encoded[i], nil
	}
	return l.one(i)
}

// black is the value of a black pixel by channel, after the preprocessor.
func black(e *task.Encoder, c *model.Config) ([]float32, error) {
	size := c.ImageHeight * c.ImageWidth
	dark := &task.Image{Width: c.ImageWidth, Height: c.ImageHeight, Channels: c.Channels, Pix: make([]uint8, c.Channels*size)}
	encoded, err := e.Encode(task.Example{Image: dark, Label: -1})
	if err != nil {
		return nil, err
	}
	values := make([]float32, c.Channels)
	for ch := range values {
		values[ch] = encoded.Pixels[ch*size]
	}
	return values, nil
}
