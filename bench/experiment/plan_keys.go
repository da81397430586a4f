package experiment

// The keys of an experiment file: the one place that says what each is called,
// what it may hold, what it holds if it is absent, and what it means.

// keys are those that stand above the first table.
func (p *Plan) keys() []key {
	return []key{
		option(&p.Name, "", "name", "", fileName()).absent("the file's name").
			about("what the results are called"),
		option(&p.Seed, "", "seed", 1, anySeed()).
			about("seed of every random choice that has no seed of its own"),
		option(&p.Device, "", "device", "auto", oneOf("auto", "cpu", "cuda", "ref")).
			about("where the arithmetic is done; auto takes a GPU if the program can use one; ref is slow and checks the others"),
		option(&p.Threads, "", "threads", 0, atLeast(0, 2)).absent("0, one for every core").
			about("workers"),
		option(&p.Output, "", "output", "", anyText("results/mine")).absent("results/NAME").
			about("folder of the results"),
	}
}

// keys are those of all tables, in the order in which a grid varies: the first
// slowest. seed is the plan's.
func (r *Run) keys(seed uint64) []key {
	var all []key
	for _, table := range [][]key{
		r.Model.keys(), r.Task.keys(), r.Score.keys(seed), r.Score.switches(),
		r.Search.keys(), r.Rebuild.keys(), r.Measure.keys(), r.Evaluate.keys(),
	} {
		all = append(all, table...)
	}
	return all
}

func (m *Model) keys() []key {
	const t = "model"
	return []key{
		option(&m.Path, t, "path", "", someText("experiments/models/deit-fashion")).column().
			about("folder of a Hugging Face model: config.json and its weights"),
	}
}

func (k *Task) keys() []key {
	const t = "task"
	return []key{
		option(&k.Name, t, "name", "", someText("fashion-mnist")).column().
			about("data set: fashion-mnist, wordnet, a GLUE task such as mrpc, cifar10, cifar100, imagenet, or your own: text, image-folder"),
		option(&k.Path, t, "path", "", anyText("data/mine")).absent("where the data set is usually installed").
			about("folder of the data"),
		option(&k.MaxLength, t, "max_length", 0, atLeast(0, 128)).absent("128, or what the model takes if that is less").
			about("tokens after which a text is cut"),
		option(&k.Metrics, t, "metrics", nil, anyList("accuracy", "f1")).absent("the task's own").
			about("metrics, the headline first: accuracy, f1, matthews, pearson, spearman"),
		option(&k.Labels, t, "labels", nil, anyList("no", "yes")).absent("the task's own").
			about("labels in the order of the model's outputs"),
		option(&k.Format, t, "format", "", oneOf("", "tsv", "csv", "jsonl")).absent("by the file's ending").
			about("of your own text files"),
		option(&k.Train, t, "train", "", anyText("train.tsv")).absent("train and an ending").
			about("file or folder of the training split, under path"),
		option(&k.Dev, t, "dev", "", anyText("dev.tsv")).absent("dev and an ending").
			about("file or folder of the dev split, under path"),
		option(&k.Test, t, "test", "", anyText("test.tsv")).absent("test and an ending").
			about("file or folder of the test split, under path"),
		option(&k.Text, t, "text", "", anyText("sentence")).absent("text").
			about("column of the text"),
		option(&k.TextPair, t, "text_pair", "", anyText("question")).absent("none").
			about("column of the second text"),
		option(&k.Label, t, "label", "", anyText("class")).absent("label").
			about("column of the label"),
		option(&k.NoHeader, t, "no_header", false, onOff()).
			about("the first line is data; columns are then numbers from 1"),
		option(&k.Regression, t, "regression", false, onOff()).
			about("the label is a number to predict"),
	}
}

func (s *Search) keys() []key {
	const t = "search"
	return []key{
		option(&s.Method, t, "method", "additive", oneOf("additive")).column().
			about("how units are chosen: additive keeps the largest sum of scores, trying every number of heads"),
		option(&s.Constraint, t, "constraint", "macs", oneOf("macs", "params")).column().
			about("what the budget limits: multiply-accumulates or weights"),
		option(&s.Total, t, "total", "encoder", oneOf("encoder", "model")).
			about("what keep is a share of: the blocks, or all of the model with embeddings and classifier"),
		option(&s.Keep, t, "keep", 0.5, share()).column().
			about("share of the dense model that remains"),
		option(&s.MinHeads, t, "min_heads", 1, atLeast(0, 1)).
			about("heads that every layer keeps"),
		option(&s.MinNeurons, t, "min_neurons", 1, atLeast(0, 1)).
			about("neurons that every layer keeps"),
		option(&s.SeqLen, t, "seq_len", 0, atLeast(0.0, 38.5)).absent("0, those of the calibration examples").
			about("tokens per example that costs are counted for; without it T and T² are averaged over the calibration examples, so that counted is what runs"),
	}
}

func (r *Rebuild) keys() []key {
	const t = "rebuild"
	return []key{
		option(&r.Method, t, "method", "none", oneOf("none")).column().
			about("how the weights that remain are adjusted"),
	}
}

func (m *Measure) keys() []key {
	const t = "measure"
	return []key{
		option(&m.Batch, t, "batch", []int{1, 32}, batches()).
			about("examples per call, a time for each; [] times nothing"),
		option(&m.Methods, t, "methods", nil, someOf(Trajectory, Magnitude, Activation, Random)).absent("all").
			about("scoring methods whose models are timed"),
		option(&m.Samples, t, "samples", 10, atLeast(6, 20)).
			about("rounds at least, each the dense and the pruned model once; an interval needs 6"),
		option(&m.MinTime, t, "min_time", 1, atLeast(0.0, 0.5)).
			about("seconds at least of all rounds together"),
		option(&m.EndToEnd, t, "end_to_end", true, onOff()).
			about("time from text or image file to label, too"),
	}
}

func (e *Evaluate) keys() []key {
	const t = "evaluate"
	return []key{
		option(&e.Split, t, "split", "", oneOf("", "train", "dev", "test")).absent("test, or dev where the test labels are secret").
			about("split that figures are reported on"),
		option(&e.Limit, t, "limit", 0, atLeast(0, 1000)).absent("0, all").
			about("examples of it at most, at even distances"),
	}
}
