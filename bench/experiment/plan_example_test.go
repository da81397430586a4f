package experiment_test

import (
	"fmt"

	"optin/bench/experiment"
)

// Two models, each on its task, by two methods; the command line replaces the
// budgets of the file.
func ExampleParsePlan() {
	plan, err := experiment.ParsePlan("quick.toml", []byte(`
[[target]]
model = "experiments/models/deit-fashion"
task  = "fashion-mnist"

[[target]]
model = "experiments/models/bert-wordnet"
task  = "wordnet"
score = { samples = 128 }

[score]
method      = ["trajectory", "random"]
random_seed = [1, 2]

[search]
keep = [0.8, 0.5]
`), "search.keep=0.6")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range plan.Expand() {
		fmt.Println(r.Task.Name, r.Score.Method, r.Score.Draw(), r.Search.Keep)
	}
	_, err = experiment.ParsePlan("quick.toml", []byte("[score]\nsampels = 64"))
	fmt.Println(err)
	// Output:
	// fashion-mnist trajectory 1 0.6
	// fashion-mnist random 1 0.6
	// fashion-mnist random 2 0.6
	// wordnet trajectory 1 0.6
	// wordnet random 1 0.6
	// wordnet random 2 0.6
	// quick.toml:2: unknown key score.sampels: did you mean score.samples?
}
