package experiment

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"

	"optin/bench/disk"
	"optin/bench/record"
	"optin/bench/train"
)

// history is every step of a training, kept beside its checkpoints as loss.csv.
type history []train.Point

var historyColumns = []string{"step", "epoch", "examples", "loss", "rate", "norm"}

func (h history) save(path string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(historyColumns) // into memory: cannot fail
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, p := range h {
		w.Write([]string{strconv.Itoa(p.Step), float(p.Epoch), strconv.Itoa(p.Examples), float(p.Loss), float(p.Rate), float(p.Norm)})
	}
	w.Flush()
	return disk.WriteFile(path, b.Bytes())
}

// loadHistory reads the first steps of what save wrote.
func loadHistory(path string, steps int) (history, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(rows) <= steps {
		return nil, fmt.Errorf("%s has %d steps, the checkpoint beside it %d: they do not belong together; remove both, and start without --resume", path, len(rows)-1, steps)
	}
	var h history
	for i, row := range rows[1 : steps+1] {
		values := make([]float64, len(row))
		for j, text := range row {
			if values[j], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s: line %d: %q is no number", path, i+2, text)
			}
		}
		h = append(h, train.Point{Step: int(values[0]), Epoch: values[1], Examples: int(values[2]), Loss: values[3], Rate: values[4], Norm: values[5]})
	}
	return h, nil
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
