package experiment

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/disk"
	"optin/bench/model"
	"optin/bench/model/checkpoint"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/bench/task"
	"optin/bench/train"
	"optin/kernels"
)

const quickTraining = `
[train]
epochs = 3
batch = 4
rate = 1e-3
average = 0.5
save_every = 2
eval_split = "test"
`

// training parses a training of a tiny model.
func parseTraining(t *testing.T, dir string, cfg task.Config, output string, sets ...string) *Training {
	t.Helper()
	sets = append([]string{"output=" + output, "task.name=" + cfg.Name, "task.path=" + cfg.Path, "model.path=" + dir}, sets...)
	p, err := ParseTraining("t.toml", []byte(quickTraining), sets...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func weights(t *testing.T, output string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(output, "model", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTrain trains every kind of start and task to a model that is what the
// record says.
func TestTrain(t *testing.T) {
	dev := device(t, 2)
	texts, textTask := texts3(t)
	images, imageTask := pictures5(t)
	scores := t.TempDir()
	for split, n := range map[string]int{"train": 9, "test": 5} {
		text := "text\tlabel\n"
		for i := range n {
			text += strings.Repeat("w1 ", 1+i%4) + "\t" + []string{"0.5", "1", "2.5"}[i%3] + "\n"
		}
		put(t, filepath.Join(scores, split+".tsv"), text)
	}
	pruned := compacted(t, dev, texts, textTask)
	for name, c := range map[string]struct {
		dir  string
		cfg  task.Config
		sets []string
		note string
	}{
		"texts":    {texts, textTask, []string{"train.mask=0.2", "train.mask_weight=0.3"}, ""},
		"pictures": {images, imageTask, []string{"train.crop=1", "train.flip=true", "train.mixup=0.2", "train.tokens=8"}, ""},
		"pruned":   {pruned, textTask, []string{"distill.model=" + texts, "distill.weight=0.7"}, ""},
		"new":      {"", textTask, []string{"model.config=" + texts, "model.init=random", "train.dtype=F16", "train.optimizer=muon"}, "all parameters begin at random values"},
		"values":   {texts, task.Config{Name: "text", Path: scores}, []string{"task.regression=true"}, "the task has one value"},
	} {
		t.Run(name, func(t *testing.T) {
			output := t.TempDir()
			p := parseTraining(t, c.dir, c.cfg, output, c.sets...)
			var log bytes.Buffer
			h := &Host{Device: dev, Digest: "test", Log: &log}
			r, err := h.Train(context.Background(), p, false)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(log.String(), c.note) || c.note == "" && len(r.Notes) > 0 {
				t.Errorf("log %s\nnotes %q", &log, r.Notes)
			}
			checkTraining(t, r, output)
			s, err := OpenSubject(filepath.Join(output, "model"), p.Task.Config())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if c.dir != "" && name != "values" {
				first, err := OpenSubject(c.dir, p.Task.Config())
				if err != nil {
					t.Fatal(err)
				}
				defer first.Close()
				if !slices.Equal(first.Model.Config().NeuronsPerLayer, s.Model.Config().NeuronsPerLayer) {
					t.Error("the layers have other sizes")
				}
			}
			feed := openFeed(t, s, 0)
			e, err := feed.Evaluate(context.Background(), dev, s.Model, nil)
			if err != nil || e.Metrics[0].Value != *r.Final[0].Metrics[0].Value && !math.IsNaN(e.Metrics[0].Value) {
				t.Errorf("the written model reaches %+v, the record says %+v (%v)", e, r.Final, err)
			}
		})
	}
}

// compacted writes a pruned form of a model.
func compacted(t *testing.T, dev kernels.Device, dir string, cfg task.Config) string {
	t.Helper()
	out := t.TempDir()
	p := mustParse(t, "", "model.path="+dir, "task.name="+cfg.Name, "task.path="+cfg.Path, "score.method=magnitude", "output="+t.TempDir(), "search.keep=0.5")
	h := &Host{Device: dev, Digest: "test"}
	if _, err := h.Prune(context.Background(), p, out, Compacted); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSubject(out, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if costs := prune.CountValues(s.Model); costs.Dense() == 0 {
		t.Fatal("nothing is left")
	}
	return out
}

func checkTraining(t *testing.T, r *record.Training, output string) {
	t.Helper()
	for _, name := range []string{"train.json", "loss.csv", "model/config.json"} {
		if _, err := os.Stat(filepath.Join(output, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(output, "checkpoint")); err == nil {
		t.Error("the checkpoint was left behind")
	}
	if r.Steps < 6 || len(r.Curve) != r.Steps || len(r.Evaluations) != 3 || len(r.Final) != 1 || r.Final[0].Step != r.Steps {
		t.Errorf("%d steps, %d points, evaluations %+v, final %+v", r.Steps, len(r.Curve), r.Evaluations, r.Final)
	}
	if s := r.Speed; s == nil || !(s.Examples > 0) || !(s.FLOPS > 0) || !(s.Share() > 0) || s.Steps != r.Steps {
		t.Errorf("speed %+v", r.Speed)
	}
}

// TestTrainStopped stops a training after every one of its evaluations, and ends
// in the bits of one that went through.
func TestTrainStopped(t *testing.T) {
	dir, cfg := texts3(t)
	dev := device(t, 2)
	h := &Host{Device: dev, Digest: "test"}
	whole := t.TempDir()
	want, err := h.Train(context.Background(), parseTraining(t, dir, cfg, whole), false)
	if err != nil {
		t.Fatal(err)
	}
	output := t.TempDir()
	p := parseTraining(t, dir, cfg, output)
	for stop := 1; ; stop++ {
		ctx, cancel := context.WithCancel(context.Background())
		h.Log = cancelling{cancel}
		got, err := h.Train(ctx, p, stop > 1)
		cancel()
		if err == nil {
			if stop < 3 || weights(t, output) != weights(t, whole) || !slices.Equal(got.Curve, want.Curve) || len(got.Evaluations) != len(want.Evaluations) {
				t.Errorf("after %d stops the model is another one, or the curve", stop-1)
			}
			return
		}
		var interrupted *Interrupted
		if !errors.As(err, &interrupted) || !strings.Contains(err.Error(), "--resume") || stop > 20 {
			t.Fatalf("stop %d: %v", stop, err)
		}
		h.Log = nil
		if _, err := h.Train(context.Background(), p, false); err == nil || !strings.Contains(err.Error(), "add --resume") {
			t.Fatalf("without --resume: %v", err)
		}
		other := parseTraining(t, dir, cfg, output, "train.rate=0.5")
		if _, err := h.Train(context.Background(), other, true); err == nil || !strings.Contains(err.Error(), `its train.rate is "0.001", this one's "0.5"`) {
			t.Fatalf("another rate: %v", err)
		}
	}
}

// TestTrainNotWritten trains where the model cannot be written: the training is
// kept, the error says so, and --resume writes what is left to write.
func TestTrainNotWritten(t *testing.T) {
	dir, cfg := texts3(t)
	h := &Host{Device: device(t, 2), Digest: "test"}
	whole, output := t.TempDir(), t.TempDir()
	if _, err := h.Train(context.Background(), parseTraining(t, dir, cfg, whole), false); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(output, "model", "model.safetensors")
	if err := os.MkdirAll(inTheWay, 0o777); err != nil {
		t.Fatal(err)
	}
	p := parseTraining(t, dir, cfg, output)
	_, err := h.Train(context.Background(), p, false)
	if want := "checkpoint holds step 9, from which --resume goes on"; err == nil || !strings.Contains(err.Error(), "cannot write "+inTheWay) || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	r, err := h.Train(context.Background(), p, true)
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != len(r.Curve) || r.Speed != nil || weights(t, output) != weights(t, whole) {
		t.Errorf("%d steps, %d points, speed %+v, or another model", r.Steps, len(r.Curve), r.Speed)
	}
}

// cancelling ends a context at a line about a step.
type cancelling struct{ cancel context.CancelFunc }

func (c cancelling) Write(line []byte) (int, error) {
	if strings.HasPrefix(string(line), "step ") {
		c.cancel()
	}
	return len(line), nil
}

// TestTrainErrors checks what people are told.
func TestTrainErrors(t *testing.T) {
	dir, cfg := texts3(t)
	h := &Host{Device: device(t, 1), Digest: "test"}
	for want, sets := range map[string][]string{
		"no train split":                           {"task.path=/nowhere", "task.labels=[entailment, neutral, contradiction]"},
		"no dev split":                             {"train.eval_split=dev"},
		"teacher (key distill.model)":              {"distill.model=/nowhere"},
		"model /nowhere":                           {"model.path=/nowhere"},
		"t.toml: mixup, crop, flip and tokens":     {"train.flip=true"},
		"is the model that is read":                {"model.path=@/model"},
		"output folder (key output): cannot write": {"output=/dev/null/x"},
	} {
		output := t.TempDir()
		for i, s := range sets {
			sets[i] = strings.ReplaceAll(s, "@", output)
		}
		if want == "is the model that is read" {
			if err := os.CopyFS(filepath.Join(output, "model"), os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Train(context.Background(), parseTraining(t, dir, cfg, output, sets...), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", sets, err, want)
		}
	}
}

// TestTrainFindsMissing finds what is missing before it encodes the examples to train
// on, one of which is damaged here.
func TestTrainFindsMissing(t *testing.T) {
	dir, cfg := pictures5(t)
	damaged, err := filepath.Glob(filepath.Join(cfg.Path, "train", "*", "0.png"))
	if err != nil || len(damaged) != 1 {
		t.Fatal(damaged, err)
	}
	put(t, damaged[0], "no picture")
	h := &Host{Device: device(t, 1), Digest: "test"}
	for want, sets := range map[string][]string{
		damaged[0]:                    nil,
		"teacher (key distill.model)": {"distill.model=/nowhere"},
		"evaluation: task image-folder: the dev split is not at /nowhere":  {"train.eval_split=dev", "task.dev=/nowhere"},
		"evaluation: task image-folder: the test split is not at /nowhere": {"train.eval_split=dev", "task.test=/nowhere"},
	} {
		if _, err := h.Train(context.Background(), parseTraining(t, dir, cfg, t.TempDir(), sets...), false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", sets, err, want)
		}
	}
}

// TestTrainTooLargeForType trains a model of a value that float16 cannot hold: the
// error names the key, and with what it says the training ends.
func TestTrainTooLargeForType(t *testing.T) {
	from, cfg := texts3(t)
	m, closeModel, err := model.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer closeModel()
	const unused = "bert.embeddings.word_embeddings.weight" // in its last row
	var sources []checkpoint.Source
	for _, name := range m.Params().Names() {
		p := m.Params().Get(name)
		sources = append(sources, checkpoint.Source{Name: name, DType: p.DType, Shape: p.Shape, Float32: func(dst []float32) error {
			err := p.Read(dst)
			if name == unused {
				dst[len(dst)-1] = 1e5
			}
			return err
		}})
	}
	dir := tinyModel(t, "bert-basic")
	put(t, filepath.Join(dir, "vocab.txt"), vocabulary(64))
	if err := checkpoint.Write(filepath.Join(dir, "model.safetensors"), sources, nil); err != nil {
		t.Fatal(err)
	}
	h := &Host{Device: device(t, 1), Digest: "test"}
	output := t.TempDir()
	_, err = h.Train(context.Background(), parseTraining(t, dir, cfg, output, "train.dtype=F16"), false)
	for _, want := range []string{unused, "which F16 cannot hold as a finite number: set train.dtype to BF16 or F32", "holds step 9, from which --resume goes on"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := h.Train(context.Background(), parseTraining(t, dir, cfg, output, "train.dtype=BF16"), true); err != nil {
		t.Error(err)
	}
}

// TestTrainAlone refuses a folder that another training writes to.
func TestTrainAlone(t *testing.T) {
	dir, cfg := texts3(t)
	output := t.TempDir()
	release, err := disk.Lock(output)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Device: device(t, 1), Digest: "test"}
	p := parseTraining(t, dir, cfg, output)
	if _, err := h.Train(context.Background(), p, false); err == nil || !strings.Contains(err.Error(), "another process is writing there") {
		t.Errorf("beside another: %v", err)
	}
	release()
	if _, err := h.Train(context.Background(), p, false); err != nil {
		t.Error(err)
	}
}

// TestTrainForeignTeacher distils from models of the same shape that read the
// same example as other inputs.
func TestTrainForeignTeacher(t *testing.T) {
	h := &Host{Device: device(t, 1), Digest: "test"}
	texts, textTask := texts3(t)
	images, imageTask := pictures5(t)
	swapped := tinyModel(t, "bert-basic")
	put(t, filepath.Join(swapped, "vocab.txt"), strings.NewReplacer("w1\n", "w2\n", "w2\n", "w1\n").Replace(vocabulary(64)))
	brighter := tinyModel(t, "deit-basic")
	put(t, filepath.Join(brighter, "preprocessor_config.json"), `{"size": 16, "do_normalize": true, "image_mean": [0.4, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}`)
	for teacher, c := range map[string]struct {
		dir string
		cfg task.Config
	}{swapped: {texts, textTask}, brighter: {images, imageTask}} {
		p := parseTraining(t, c.dir, c.cfg, t.TempDir(), "distill.model="+teacher)
		if _, err := h.Train(context.Background(), p, false); err == nil || !strings.Contains(err.Error(), teacher+": its tokenizer or preprocessor turns training example") {
			t.Errorf("%s: %v", c.cfg.Name, err)
		}
	}
}

// TestTrainingErrors checks what is said of files that make no sense.
func TestTrainingErrors(t *testing.T) {
	const task = "[task]\nname = \"wordnet\"\n"
	for text, want := range map[string]string{
		task: "t.toml: model.path is missing",
		"[model]\npath = \"a\"\nconfig = \"b\"\n" + task:    "leave out one of them",
		"[model]\nconfig = \"b\"\n" + task:                  "model.init = \"random\"",
		"[model]\npath = \"b\"\ninit = \"random\"\n" + task: "give its folder as model.config",
		"model = \"m\"\n[train]\nrat = 1\n" + task:          "t.toml:3: unknown key train.rat: did you mean train.rate?",
		"model = \"m\"\n[train]\nrate = [1, 2]\n" + task:    "t.toml:3: train.rate takes one value",
		"model = \"m\"\n[train]\nwarmup = 1.5\n" + task:     "t.toml:3: train.warmup is 1.5, want a number from 0 to 1",
		"model = \"m\"\n[train]\naverage = 1\n" + task:      "below 1",
		"model = \"m\"\n": "task.name is missing",
		"model = \"m\"\n[[target]]\ntask = \"wordnet\"\n" + task: "unknown key target",
		"model = \"m\"\n[train]\noptimizer = \"sgd\"\n" + task:   `want "adamw" or "muon"`,
		"model = \"m\"\n[search]\nkeep = 0.5\n" + task:           "unknown key search",
	} {
		if _, err := ParseTraining("t.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestTrainingFacts tells keys that change the result from those that do not.
func TestTrainingFacts(t *testing.T) {
	base := []string{"model.path=m", "task.name=wordnet"}
	facts := func(sets ...string) map[string]string {
		p, err := ParseTraining("t.toml", nil, append(base[:2:2], sets...)...)
		if err != nil {
			t.Fatal(err)
		}
		return p.facts()
	}
	same := func(a, b map[string]string) bool {
		if len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if b[k] != v {
				return false
			}
		}
		return true
	}
	for set, equal := range map[string]bool{
		"train.save_every=7": true, "threads=2": true, "output=elsewhere": true, "evaluate.limit=5": true, "train.dtype=F16": true,
		"train.batch=7": false, "seed=2": false, "task.max_length=9": false, "train.samples=3": false, "train.lanes=2": false,
	} {
		if got := same(facts(), facts(set)); got != equal {
			t.Errorf("%s: the same training: %v", set, got)
		}
	}
	if f := facts("distill.weight=0.3"); f["distill.weight"] != facts()["distill.weight"] {
		t.Error("a weight without a teacher counts")
	}
}

// TestTrainingDefaults are those of package train.
func TestTrainingDefaults(t *testing.T) {
	p, err := ParseTraining("a/b.toml", nil, "model.path=m", "task.name=wordnet")
	if err != nil {
		t.Fatal(err)
	}
	want := train.DefaultSettings()
	want.Rows = 0 // is up to the device, and known when that is open
	if p.Settings != want || p.Name != "b" || p.Output != filepath.Join("results", "b") {
		t.Errorf("%+v", p)
	}
}

func TestHistory(t *testing.T) {
	h := history{}
	for i := range 1000 {
		h = append(h, train.Point{Step: i + 1, Epoch: float64(i) / 7, Examples: 5, Loss: 1 / float64(i+3), Rate: 1e-3, Norm: math.Pi})
	}
	path := filepath.Join(t.TempDir(), "loss.csv")
	if err := h.save(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if lines := strings.Split(string(text), "\n"); err != nil || len(lines) != 1002 || lines[0] != "step,epoch,examples,loss,rate,norm" ||
		lines[8] != "8,1,5,0.1,0.001,3.141592653589793" {
		t.Errorf("line 8 of %d is %s (%v)", len(lines), lines[8], err)
	}
	curve := h.curve()
	if len(curve) != 334 || curve[333].Step != 1000 || !(math.Abs(curve[0].Loss-(1.0/3+1.0/4+1.0/5)/3) < 1e-12) {
		t.Errorf("%d points, %+v", len(curve), curve[0])
	}
}

func TestWriteTrainingKeys(t *testing.T) {
	var got bytes.Buffer
	if err := WriteTrainingKeys(&got); err != nil {
		t.Fatal(err)
	}
	for _, k := range new(Training).keys() {
		if k.doc == "" || !strings.Contains(got.String(), k.name) {
			t.Errorf("nothing is said of %s", k.path())
		}
	}
	for i, line := range strings.Split(got.String(), "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("line %d is long: %s", i+1, line)
		}
	}
}

// TestRecipes reads the trainings of the bundled models, which are for the tasks
// that those are for.
func TestRecipes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "experiments", "train", "*.toml"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		p, err := LoadTraining(file)
		if err != nil {
			t.Error(err)
			continue
		}
		set, err := task.Open(p.Task.Config())
		if err != nil {
			t.Error(err)
			continue
		}
		c, err := model.ReadConfig(filepath.Join("..", "..", p.Model.Dir()))
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := set.MapLabels(c.Labels); err != nil {
			t.Error(err)
		}
	}
}
