package experiment

import (
	"bytes"
	"encoding/csv"
	"strconv"

	"optin/bench/disk"
	"optin/bench/record"
	"optin/bench/train"
)

// history is every step of a training.
type history []train.Point

// save writes one line a step.
func (h history) save(path string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"step", "epoch", "examples", "loss", "rate", "norm"}) // into memory: cannot fail
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, p := range h {
		w.Write([]string{strconv.Itoa(p.Step), float(p.Epoch), strconv.Itoa(p.Examples), float(p.Loss), float(p.Rate), float(p.Norm)})
	}
	w.Flush()
	return disk.WriteFile(path, b.Bytes())
}

// curvePoints is how many points a record keeps of a history.
const curvePoints = 400

// curve is the means of equal stretches of the history.
func (h history) curve() []record.TrainingPoint {
	stretch := max(1, (len(h)+curvePoints-1)/curvePoints)
	var points []record.TrainingPoint
	for from := 0; from < len(h); from += stretch {
		part := h[from:min(from+stretch, len(h))]
		mean := record.TrainingPoint{Step: part[len(part)-1].Step, Epoch: part[len(part)-1].Epoch}
		n := float64(len(part))
		for _, p := range part {
			mean.Loss += p.Loss / n
			mean.Rate += p.Rate / n
			mean.Norm += p.Norm / n
		}
		points = append(points, mean)
	}
	return points
}

// recent is the mean loss of the last steps.
func (h history) recent(n int) float64 {
	part := h[max(0, len(h)-n):]
	sum := 0.0
	for _, p := range part {
		sum += p.Loss
	}
	return sum / float64(len(part))
}
