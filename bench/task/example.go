package task

import "optin/bench/task/picture"

// Image is a picture of 8-bit values.
type Image = picture.Image

// Example is one input with its target.
type Example struct {
	Text     string
	TextPair string
	HasPair  bool
	Image    *Image  // nil for text
	Label    int     // index into the task's labels; -1 when there is none
	Target   float64 // of a regression
}

// Encoded is one example as a model takes it.
type Encoded struct {
	IDs     []int32   // text: token ids without padding
	TypeIDs []int32   // text: 0 for the first sequence, 1 for the second
	Pixels  []float32 // image: (channels, height, width), normalised
	Label   int       // index into the model's outputs; -1 when there is none
	Target  float64   // of a regression
}
