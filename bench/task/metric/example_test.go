package metric_test

import (
	"fmt"
	"log"

	"optin/bench/task/metric"
)

func ExampleAccumulator() {
	a, err := metric.New([]string{metric.Accuracy, metric.F1}, 2)
	if err != nil {
		log.Fatal(err)
	}
	for i, logits := range [][]float32{{2, -1}, {0, 3}, {1, 0}, {-1, 1}} {
		if err := a.Add(logits, i%2); err != nil {
			log.Fatal(err)
		}
	}
	if err := a.Add([]float32{0, 1}, 0); err != nil {
		log.Fatal(err)
	}
	for _, r := range a.Results() {
		fmt.Println(r)
	}
	// Output:
	// accuracy 80.00 ± 17.89 % (n = 5)
	// f1 80.00 ± 24.44 % (n = 5)
}
