package task

import (
	"reflect"
	"testing"
)

func TestMapLabels(t *testing.T) {
	mnli := open(t, Config{Name: "mnli"})
	ordered := open(t, Config{Name: "mnli", Labels: []string{"contradiction", "entailment", "neutral"}})
	fashion := open(t, Config{Name: "fashion-mnist"})
	digits := &Task{Name: "text", Labels: []string{"0", "1", "2"}}
	codes := &Task{Name: "text", Labels: []string{"c", "c++", "c#"}}
	stsb := open(t, Config{Name: "stsb"})
	for _, test := range []struct {
		name  string
		task  *Task
		model []string
		want  []int
		err   string
	}{
		{"same order", mnli, []string{"entailment", "neutral", "contradiction"}, []int{0, 1, 2}, ""},
		{"other order", mnli, []string{"CONTRADICTION", "ENTAILMENT", "NEUTRAL"}, []int{1, 2, 0}, ""},
		{"unnamed", mnli, []string{"LABEL_0", "LABEL_1", "LABEL_2"}, []int{0, 1, 2}, ""},
		{"numbers", mnli, []string{"0", "1", "2"}, []int{0, 1, 2}, ""},
		{"unnamed, order given", ordered, []string{"LABEL_0", "LABEL_1", "LABEL_2"}, []int{1, 2, 0}, ""},
		{"named, order given", ordered, []string{"neutral", "entailment", "contradiction"}, []int{1, 0, 2}, ""},
		{"more outputs", mnli, []string{"x", "neutral", "contradiction", "entailment"}, []int{3, 1, 2}, ""},
		{"punctuation", fashion, []string{"T - shirt / top", "trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle-Boot"}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ""},
		{"numbered labels", digits, []string{"bad", "fair", "good", "best"}, []int{0, 1, 2}, ""},
		{"told apart by signs", codes, []string{"C++", "C#", "C"}, []int{2, 0, 1}, ""},
		{"other names", mnli, []string{"yes", "maybe", "no"}, nil, `label "entailment" is not one of the model's; the task's labels are "entailment", "neutral", "contradiction", the model's are "yes", "maybe", "no"`},
		{"unclear", mnli, []string{"Neutral", "neutral", "entailment", "contradiction"}, nil, "more than one"},
		{"too few", mnli, []string{"LABEL_0", "LABEL_1"}, nil, "has 3 labels"},
		{"regression", stsb, []string{"LABEL_0"}, nil, ""},
		{"no regression", stsb, []string{"LABEL_0", "LABEL_1"}, nil, "is a regression, but the model has 2 outputs"},
	} {
		t.Run("case="+test.name, func(t *testing.T) {
			got, err := test.task.MapLabels(test.model)
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v, %v; want %v", got, err, test.want)
			}
		})
	}
	_, err := Open(Config{Name: "mnli", Labels: []string{"a", "b", "c"}})
	wantError(t, err, `labels are "a", "b", "c", want the task's in the model's order: "entailment"`)
	_, err = Open(Config{Name: "mnli", Labels: []string{"neutral"}})
	wantError(t, err, "want the task's")
	_, err = Open(Config{Name: "mnl"})
	wantError(t, err, `no task "mnl": there are fashion-mnist, wordnet, cola`)
	_, err = Open(Config{})
	wantError(t, err, "no name given")
}

// TestAccumulator has a model that numbers the labels the other way round:
// figures must not depend on that.
func TestAccumulator(t *testing.T) {
	mrpc := open(t, Config{Name: "mrpc"})
	var values [2]float64
	for k, outputs := range [][]string{{"not_equivalent", "equivalent"}, {"equivalent", "not_equivalent"}} {
		a, err := mrpc.Accumulator(outputs)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mrpc.MapLabels(outputs)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 { // of 5 positive 2 are found, of 5 negative none
			logits := make([]float32, 2)
			guess := 1
			if i == 0 || i == 6 || i == 8 {
				guess = 0
			}
			logits[m[guess]] = 1
			if err := a.Add(logits, m[1-i%2]); err != nil {
				t.Fatal(err)
			}
		}
		r := a.Results()
		if r[0].Name != "accuracy" || r[1].Name != "f1" {
			t.Fatalf("metrics %v", r)
		}
		values[k] = r[1].Value
	}
	if values[0] != values[1] || values[0] != 2*2.0/(5+7) {
		t.Errorf("F1 %v, want %v", values, 2*2.0/(5+7))
	}
	_, err := mrpc.Accumulator([]string{"a", "b"})
	wantError(t, err, "not_equivalent")
}
