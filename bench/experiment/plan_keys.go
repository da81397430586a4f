package experiment

// The keys of an experiment file: the one place that says what each is called,
// what it may hold, what it holds if it is absent, and what it means.

// keys are those that stand above the first table.
func (p *Plan) keys() []key {
	return append(headKeys(&p.Name, &p.Seed, &p.Device, &p.Threads, &p.Rows, &p.Output),
		option(&p.Precision, "", "precision", Float32, oneOf(Float32, "tf32", "fp16", "bf16")).
			about("what the linear layers multiply when models are evaluated and timed on device cuda: below float32 on tensor cores, summed in float32; scores, searches, rebuilds and proofs are float32 always"),
		option(&p.Stages, "", "stages", "", anyText("results/stages")).absent("stages in the folder of the results").
			about("folder of what finished stages found; experiments may share one, and what two have in common is then computed once"))
}

// Float32 is the precision of every device.
const Float32 = "float32"

// headKeys are the keys above the first table, of any kind of file.
func headKeys(name *string, seed *uint64, device *string, threads, rows *int, output *string) []key {
	return []key{
		option(name, "", "name", "", fileName()).absent("the file's name").
			about("what the results are called"),
		option(seed, "", "seed", 1, anySeed()).
			about("seed of every random choice that has no seed of its own"),
		option(device, "", "device", "auto", oneOf("auto", "cpu", "cuda", "ref")).
			about("where the arithmetic is done; auto takes a GPU if there is one and optin-cuda is built (make cuda), else the CPU; ref is slow and checks the others"),
		option(threads, "", "threads", 0, atLeast(0, 2)).absent("0, one for every core, or for every GPU").
			about("workers"),
		option(rows, "", "rows", 0, atLeast(0, 4096)).absent("0, which is 512 on the CPU and 8192 on a GPU").
			about("tokens of a micro-batch, about; halved where the device runs out of memory"),
		option(output, "", "output", "", anyText("results/mine")).absent("results/NAME").
			about("folder of the results"),
	}
}

// keys are those of all tables, in the order in which a grid varies: the first
// slowest. seed is the plan's.
func (r *Run) keys(seed uint64) []key {
	var all []key
	for _, table := range [][]key{
		r.Model.keys(), r.Task.keys(), r.Score.keys(seed, r.Search.Method), r.Score.switches(),
		r.Search.keys(), r.Rebuild.keys(seed), r.Measure.keys(), r.Evaluate.keys(),
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
		option(&k.Words, t, "words", false, onOff()).
			about("wordnet: each synset's own words are training examples, too"),
	}
}

// The searches.
const (
	Additive = "additive"
	Joint    = "joint"
	Surgeon  = "surgeon"
	PTF      = "ptf"
)

// Latency is the constraint on time.
const Latency = "latency"

// The ways to rebuild.
const (
	NoRebuild    = "none"
	ScaleUnits   = "scale"
	LeastSquares = "least-squares"
)

func (s *Search) keys() []key {
	const t = "search"
	return []key{
		option(&s.Method, t, "method", Additive, oneOf(Additive, Joint, Surgeon, PTF)).column().control().
			about("how units are chosen: additive keeps the largest sum of scores, trying every number of heads; ptf then swaps units within each layer by their Fisher information; joint removes units one after the other by the loss of the whole set; surgeon does, in every layer, by the loss that is left when its output weights are refitted, which least-squares then does"),
		option(&s.Steps, t, "steps", 0, atLeast(0, 4)).absent("0: 1 for joint, one for every halving of the cost for surgeon").where(func() bool { return s.Method == Joint || s.Method == Surgeon }).
			about("stages of the search: each starts with new probes of what the one before has left, which the surgeon refits first"),
		option(&s.Swaps, t, "swaps", true, onOff()).where(func() bool { return s.Method == Joint }).
			about("the joint search ends by exchanging removed for kept units where that lowers the loss"),
		option(&s.Released, t, "released", false, onOff()).where(func() bool { return s.Method == PTF && s.Constraint == Latency }).
			about("ptf under a budget of time searches as its released code does, whose budget shrinks within its loops"),
		option(&s.Constraint, t, "constraint", "macs", oneOf("macs", "params", Latency)).column().control().
			about("what the budget limits: multiply-accumulates, weights, or the time of one call as measured on this device"),
		option(&s.LatencyBatch, t, "latency_batch", 32, atLeast(1, 32)).where(func() bool { return s.Constraint == Latency }).
			about("examples of the call whose time is limited, of the calibration examples' lengths"),
		option(&s.NeuronMultiple, t, "neuron_multiple", 1, atLeast(1, 16)).
			about("neurons of a layer are rounded down to a multiple of this, which kernels may prefer, and what that saves is spent elsewhere"),
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

func (r *Rebuild) keys(seed uint64) []key {
	const t = "rebuild"
	rebuilds := func() bool { return r.Method != NoRebuild }
	return []key{
		option(&r.Method, t, "method", NoRebuild, oneOf(NoRebuild, ScaleUnits, LeastSquares)).column().control().
			about("how the weights that remain are adjusted, without labels: scale multiplies each unit (PTF's mask tuning), least-squares fits every layer's output weights to what the dense layer gave, and before that its input weights to what the dense layer read"),
		option(&r.Samples, t, "samples", 512, atLeast(2, 512)).where(rebuilds).
			about("examples of the training split that the weights are fitted to, a fifth of them held out to choose how strongly"),
		option(&r.Seed, t, "seed", seed, anySeed()).absent("the file's seed").where(rebuilds).
			about("draws these examples"),
		option(&r.Released, t, "released", false, onOff()).where(func() bool { return r.Method == ScaleUnits }).
			about("scale as PTF's released code does: LSMR with damping 1, and no layer after one whose factors it rejects; the target is the dense model all the same, which there is a model pruned half as much"),
	}
}

func (m *Measure) keys() []key {
	const t = "measure"
	return []key{
		option(&m.Batch, t, "batch", []int{1, 32}, batches()).
			about("examples per call, a time for each; [] times nothing"),
		option(&m.Methods, t, "methods", nil, someOf(Trajectory, Fisher, Taylor, Magnitude, Activation, Random)).absent("all").
			about("scoring methods whose models are timed"),
		option(&m.Samples, t, "samples", 10, atLeast(6, 20)).
			about("rounds at least, each the dense and the pruned model once; an interval needs 6"),
		option(&m.MinTime, t, "min_time", 1, atLeast(0.0, 0.5)).
			about("seconds at least of all rounds together"),
		option(&m.EndToEnd, t, "end_to_end", true, onOff()).
			about("time from text or image file to label, too"),
		option(&m.Energy, t, "energy", true, onOff()).
			about("joules per example, too, where the device counts them; on a GPU that takes some seconds more for each time"),
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
