package metric

import "fmt"

// The names of the metrics.
const (
	Accuracy = "accuracy"
	F1       = "f1"       // of the positive class of two, else the mean over classes
	Matthews = "matthews" // correlation of the confusion matrix, any number of classes
	Pearson  = "pearson"
	Spearman = "spearman"
)

// Result is one figure.
type Result struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`   // fraction; 0 where the formula has none (a constant prediction)
	StdErr float64 `json:"std_err"` // 0 where there are too few examples to say
	N      int     `json:"n"`       // examples
}

// String writes the figure in percent, as tables do.
func (r Result) String() string {
	return fmt.Sprintf("%s %.2f ± %.2f %% (n = %d)", r.Name, 100*r.Value, 100*r.StdErr, r.N)
}

// Known lists the metrics for classes, or for a regression.
func Known(regression bool) []string {
	if regression {
		return []string{Pearson, Spearman}
	}
	return []string{Accuracy, F1, Matthews}
}
