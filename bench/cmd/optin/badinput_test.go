package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/disk"
)

// TestBadWeights damages the weights of a model: the program says so in one
// line, whatever it was to do with them.
func TestBadWeights(t *testing.T) {
	const file = "model.safetensors"
	for name, c := range map[string]struct {
		damage func(file []byte) []byte
		want   []string
	}{
		"empty":         {func([]byte) []byte { return nil }, []string{file, "download it again"}},
		"truncated":     {func(f []byte) []byte { return f[:len(f)-100] }, []string{file, "download it again"}},
		"half a header": {func(f []byte) []byte { return f[:200] }, []string{file, "download it again"}},
		"huge header": {func(f []byte) []byte {
			binary.LittleEndian.PutUint64(f, 1<<62)
			return f
		}, []string{file, "header", "download it again"}},
		"flipped bit of the header": {func(f []byte) []byte { f[9] ^= 0x80; return f }, []string{file, "download it again"}},
		"not a number": {func(f []byte) []byte {
			copy(f[len(f)-4:], "\x00\x00\xc0\x7f")
			return f
		}, []string{file, "tensor", "NaN", "download the file again"}},
		"wrong offsets": {edited(func(h map[string]*header) { h["classifier.bias"].Offsets[1] += 4 }), []string{file, "classifier.bias"}},
		"overlapping":   {edited(func(h map[string]*header) { h["classifier.bias"].Offsets = h["bert.pooler.dense.bias"].Offsets }), []string{file, "tensor"}},
		"missing tensor": {edited(func(h map[string]*header) { h["other"] = h["classifier.bias"]; delete(h, "classifier.bias") }),
			[]string{file, `"classifier.bias": is missing; check that config.json belongs to these weights`}},
		"misshapen tensor": {edited(func(h map[string]*header) { h["bert.pooler.dense.weight"].Shape = []int{16, 64} }),
			[]string{file, `"bert.pooler.dense.weight": has shape [16 64] where config.json asks for [32 32]`}},
		"pickle": {func([]byte) []byte { return []byte("\x80\x02cos\nsystem\nX\x02\x00\x00\x00lsR.") }, []string{file}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := textModel(t, "bert-basic")
			damaged := c.damage([]byte(get(t, filepath.Join(dir, file))))
			put(t, dir, map[string]string{file: string(damaged)})
			fails(t, exitFailed, c.want, "predict", "--model", dir, "--text", "a", "--device", "ref")
			path, _ := experimentFile(t, dir, textData(t), small)
			fails(t, exitFailed, c.want, "run", path)
		})
	}
}

// header is what a safetensors file says of a tensor.
type header struct {
	DType   string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

// edited changes the header of a safetensors file.
func edited(change func(map[string]*header)) func([]byte) []byte {
	return func(f []byte) []byte {
		n := binary.LittleEndian.Uint64(f)
		all := map[string]*header{}
		if err := json.Unmarshal(f[8:8+n], &all); err != nil {
			panic(err)
		}
		delete(all, "__metadata__")
		change(all)
		text, err := json.Marshal(all)
		if err != nil {
			panic(err)
		}
		out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
		return append(append(out, text...), f[8+n:]...)
	}
}

// TestBadModels gives folders that are no models that can be run.
func TestBadModels(t *testing.T) {
	data := textData(t)
	with := func(name, text string) string {
		dir := textModel(t, "bert-basic")
		put(t, dir, map[string]string{name: text})
		return dir
	}
	without := func(name string) string {
		dir := textModel(t, "bert-basic")
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	odd := golden(t, "bert-odd") // 67 entries
	put(t, odd, map[string]string{"vocab.txt": vocabulary(20)})
	for _, c := range []struct {
		dir  string
		want []string
	}{
		{"/no/such/folder", []string{"model /no/such/folder: there is no such directory; give a Hugging Face model directory"}},
		{data, []string{"there is no config.json"}},
		{with("config.json", `{"model_type": "gpt2"}`), []string{"config.json", `model_type "gpt2" is not supported; supported are`, "bert", "vit", "deit"}},
		{with("config.json", `{"model_type": `), []string{"config.json: not a JSON object", "download it again"}},
		{with("config.json", strings.Replace(get(t, filepath.Join(golden(t, "bert-basic"), "config.json")), `"num_hidden_layers": 2`, `"num_hidden_layers": 1`, 1)),
			[]string{"model.safetensors", "num_hidden_layers of config.json is 1"}},
		{without("model.safetensors"), []string{"no weights here", "model.safetensors"}},
		{without("vocab.txt"), []string{"no tokenizer in", "vocab.txt or tokenizer.json"}},
		{with("vocab.txt", "a\nb\n"), []string{"vocab.txt", "no [UNK]", "is this the model's own file?"}},
		{with("tokenizer_config.json", "{"), []string{"tokenizer_config.json"}},
		{odd, []string{odd, "only 20 ids but the model's vocab_size is 67", "take it from the model's own files"}},
	} {
		fails(t, exitFailed, c.want, "predict", "--model", c.dir, "--text", "a", "--device", "ref")
		fails(t, exitFailed, c.want, "eval", "--model", c.dir, "--task", "text", "--data", data, "--device", "ref", "--output", t.TempDir())
	}
	images := imageModel(t)
	fails(t, exitFailed, []string{"takes pictures: give --image"}, "predict", "--model", images, "--text", "a")
	fails(t, exitFailed, []string{"takes texts: give --text"}, "predict", "--model", textModel(t, "bert-basic"), "--image", "a.png")
	fails(t, exitFailed, []string{"kind"}, "eval", "--model", images, "--task", "text", "--data", data, "--output", t.TempDir())
	if err := os.Remove(filepath.Join(images, "preprocessor_config.json")); err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, []string{"no preprocessor_config.json in " + images}, "predict", "--model", images, "--image", "a.png")
}

// TestBadData gives data sets with a fault.
func TestBadData(t *testing.T) {
	m := textModel(t, "bert-basic")
	const header = "text\tlabel\n"
	for _, c := range []struct {
		file, text string
		want       []string
	}{
		{"test.tsv", header + "a\tneutral\nb\n", []string{"test.tsv", "line 3", "column"}},
		{"test.tsv", header + "a\tneutral\nb\tnatural\n", []string{"test.tsv: line 3", `label "natural", want one of`}},
		{"train.tsv", "text\tclass\na\tneutral\n", []string{"train.tsv: line 2", `no column "label": the header has`}},
		{"test.tsv", "", []string{"test.tsv", "empty, want a header line"}},
		{"train.tsv", header, []string{"train.tsv"}},
	} {
		data := textData(t)
		put(t, data, map[string]string{c.file: c.text})
		path, results := experimentFile(t, m, data, small)
		fails(t, exitFailed, c.want, "run", path)
		if n := len(stages(t, results)); n != 0 {
			t.Errorf("%d stages were computed before %v was found", n, c.want)
		}
	}
	fails(t, exitFailed, []string{"set path and train to an existing file", "train"}, "score", "--model", m, "--task", "text", "--data", textData(t), "--set", "task.train=none.tsv", "--output", t.TempDir())
	fails(t, exitFailed, []string{"train.tsv", "/no/data"}, "score", "--model", m, "--task", "text", "--data", "/no/data", "--output", t.TempDir())
	fails(t, exitFailed, []string{"no task \"txt\"", "fashion-mnist"}, "score", "--model", m, "--task", "txt", "--output", t.TempDir())
	fails(t, exitFailed, []string{"task mnli", "/no/data"}, "eval", "--model", m, "--task", "mnli", "--data", "/no/data", "--output", t.TempDir())
	fails(t, exitFailed, []string{"/no/in.tsv"}, "predict", "--model", m, "--input", "/no/in.tsv")

	pictures := imageData(t)
	put(t, pictures, map[string]string{"train/3/0.png": picturePNG(t, 1)[:80], "list.txt": "train/3/0.png\n"})
	corrupt := []string{filepath.Join(pictures, "train/3/0.png"), "corrupt picture"}
	fails(t, exitFailed, corrupt, "score", "--model", imageModel(t), "--task", "image-folder", "--data", pictures, "--device", "ref", "--output", t.TempDir())
	fails(t, exitFailed, corrupt, "predict", "--model", imageModel(t), "--input", filepath.Join(pictures, "list.txt"), "--device", "ref")
	put(t, pictures, map[string]string{"train/3/0.png": "GIF89a"})
	fails(t, exitFailed, []string{corrupt[0], "neither a JPEG nor a PNG"}, "score", "--model", imageModel(t), "--task", "image-folder", "--data", pictures, "--device", "ref", "--output", t.TempDir())
}

// TestBadKeys gives experiment files and --set that ask for the impossible.
func TestBadKeys(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	for _, c := range []struct {
		set  string
		want []string
	}{
		{"score.tua=3", []string{"unknown key score.tua: did you mean score.tau?"}},
		{"score.tau=warm", []string{`score.tau holds the text "warm", want a number, such as tau = 4`}},
		{"search.keep=0", []string{"search.keep is 0, want a number above 0 and at most 1"}},
		{"search.keep=1.01", []string{"search.keep is 1.01, want a number above 0 and at most 1"}},
		{"search.keep=0.0001", []string{"search.keep = 0.0001 of the MACs cannot be met", "the smallest is 0."}},
		{"search.keep=[0.5, 0.0001]", []string{"run 2 of 2", "keep 0.0001", "the smallest is 0."}},
		{"threads=-1", []string{"threads is -1, want 0 or more"}},
		{"measure.methods=[fischer]", []string{`measure.methods is ["fischer"], want a list of "trajectory"`}},
		{"measure.batch=99", []string{"measure.batch is 99, but only 15 examples of the split test are read"}},
		{"task.max_length=49", []string{"max_length is 49, but the model takes at most 48 tokens"}},
		{"task.metrics=[bleu]", []string{"bleu"}},
		{"search.constraint=latency", []string{"search.latency_batch is 32, but the training split has only 24 examples: set it to that or less"}},
		{"task.regression=true", []string{"regression"}},
		{"score.token_file=tokens.txt", []string{"score.md_tokens is 0"}},
	} {
		fails(t, exitFailed, c.want, "run", path, "--set", c.set)
	}
	fails(t, exitFailed, []string{"search.steps is 200, but the model has only 136 heads and neurons"}, "run", path, "--set", "search.method=joint", "--set", "search.steps=200")
	for file, want := range map[string]string{
		"name = 3\n":                "y.toml:1: name holds the number 3",
		"[score]\nseed = \"one\"\n": "y.toml:2: score.seed holds the text \"one\"",
		"[score":                    "y.toml:1: ",
		"[serach]\n":                "y.toml:1: unknown key serach: did you mean [search]?",
	} {
		dir := t.TempDir()
		put(t, dir, map[string]string{"y.toml": file + "[model]\npath='m'\n[task]\nname='text'\n"})
		fails(t, exitFailed, []string{want}, "run", filepath.Join(dir, "y.toml"))
	}
	fails(t, exitFailed, []string{"/no/file.toml"}, "run", "/no/file.toml")
	fails(t, exitFailed, []string{"cannot be met", "the smallest is 0."}, "prune", path, "--out", filepath.Join(t.TempDir(), "x"), "--set", "search.keep=0.0001")
	if n := count(t, results, "score"); n != 0 {
		t.Errorf("%d scores were computed for budgets that cannot be met", n)
	}
	fails(t, exitFailed, []string{"spans 2 runs, and one model is written: choose one"}, "prune", path, "--out", "x", "--set", "search.keep=[0.5,0.6]")
	fails(t, exitFailed, []string{"measure.batch is [], so nothing would be timed: set it"}, "time", path)
	fails(t, exitFailed, []string{"spans several models"}, "time", path, "--set", "task.max_length=[8,9]")
	if n := len(stages(t, results)); n != 0 {
		t.Errorf("%d stages were computed", n)
	}
}

func TestBadTokenFile(t *testing.T) {
	path, _ := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	file := filepath.Join(t.TempDir(), "tokens.txt")
	for text, want := range map[string]string{
		"0 1":      "has 2 indices, and score.md_tokens is 3: set md_tokens to 2",
		"0 1 two":  `tokens.txt:1: "two" is no index`,
		"0 1\n-2":  `tokens.txt:2: "-2" is no index`,
		"0 1 9999": `tokens.txt": token index 9999`,
	} {
		put(t, filepath.Dir(file), map[string]string{"tokens.txt": text})
		fails(t, exitFailed, []string{want}, "run", path, "--set", "score.md_tokens=3", "--set", "score.token_file="+file)
	}
	fails(t, exitFailed, []string{"score.token_file", "/no/file"}, "run", path, "--set", "score.md_tokens=3", "--set", "score.token_file=/no/file")
}

// TestBadFolders writes where nothing can be written. What was there before
// stays.
func TestBadFolders(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	path, results := experimentFile(t, m, data, small)
	dir := t.TempDir()
	put(t, dir, map[string]string{"file": "precious"})
	file := filepath.Join(dir, "file")
	const inTheWay = "a file is where a folder should be"
	fails(t, exitFailed, []string{"results folder (key output)", inTheWay}, "run", path, "--output", file)
	fails(t, exitFailed, []string{"cannot write", file, inTheWay}, "score", path, "--out", filepath.Join(file, "scores.json"))
	fails(t, exitFailed, []string{"cannot write", file, inTheWay}, "prune", path, "--set", "score.tau=3", "--out", file)
	fails(t, exitFailed, []string{m, "is the model that is read; choose another folder"}, "prune", path, "--set", "score.tau=3", "--out", m)
	other := filepath.Join(dir, "other")
	put(t, dir, map[string]string{"other/preprocessor_config.json": "{}"})
	fails(t, exitFailed, []string{filepath.Join(other, "preprocessor_config.json"), "is another model's", "remove it"}, "prune", path, "--out", other)
	if get(t, file) != "precious" {
		t.Error("a file in the way was written over")
	}
	fails(t, exitFailed, []string{file, "is there already and holds no scores, so it is not written over"}, "score", path, "--out", file)
	if get(t, file) != "precious" {
		t.Error("a file that is no file of scores was written over")
	}
	if n := count(t, results, "score"); n != 0 {
		t.Errorf("%d scores are stored: some were computed for what cannot be written", n)
	}
	own := filepath.Join(dir, "own.json")
	for _, method := range []string{"magnitude", "activation"} {
		works(t, "score", path, "--out", own, "--method", method)
		if text := get(t, own); !strings.Contains(text, fmt.Sprintf("\"method\": %q", method)) {
			t.Errorf("scores by %s:\n%s", method, text)
		}
	}
	fails(t, exitFailed, []string{"record.json does not exist: run the experiment first"}, "report", dir)
	put(t, dir, map[string]string{"record.json": "{\"version\": 1,\n"})
	fails(t, exitFailed, []string{"record.json: line 2", "the file is damaged"}, "report", dir)

	// The report's place is taken: the stages and the record are kept.
	put(t, filepath.Join(results, "report.md"), map[string]string{"file": ""})
	fails(t, exitFailed, []string{"cannot write " + filepath.Join(results, "report.md"), "a folder is where the file should be"}, "run", path)
	if rec := load(t, results); len(rec.Runs) != 1 || count(t, results, "evaluate") != 1 {
		t.Errorf("%d runs, %d stages are left", len(rec.Runs), len(stages(t, results)))
	}
}

// TestIncomparable times models that do not belong together.
func TestIncomparable(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	args := []string{"time", "--model", m, "--task", "text", "--data", data, "--device", "ref", "--output", t.TempDir(),
		"--set", "measure.batch=1", "--set", "measure.samples=6", "--set", "measure.min_time=0", "--pruned"}
	for _, other := range []string{imageModel(t), textModel(t, "bert-odd"), textModel(t, "bert-regression")} {
		fails(t, exitFailed, []string{other, "cannot be compared: give a pruned form of that model"}, append(args, other)...)
	}
	fails(t, exitFailed, []string{fmt.Sprintf("model %s", "/no/model")}, append(args, "/no/model")...)
}

// TestMissingIsFoundFirst names something that is not there, beside what would take
// long or cannot be done either: the first is what is said, and nothing is done.
func TestMissingIsFoundFirst(t *testing.T) {
	m, data, results := textModel(t, "bert-basic"), textData(t), filepath.Join(t.TempDir(), "results")
	common := []string{"--task", "text", "--data", data, "--device", "ref", "--output", results}
	fails(t, exitFailed, []string{"model /no/pruned"}, append([]string{"time", "--model", "/no/model", "--pruned", m, "--pruned", "/no/pruned"}, common...)...)
	if _, err := os.Stat(results); err == nil {
		t.Error("time makes its folder before it looks for the models")
	}
	fails(t, exitFailed, []string{"model /no/pruned"}, append([]string{"time", "--model", m, "--pruned", m, "--pruned", "/no/pruned"}, common...)...)
	dir := t.TempDir()
	put(t, dir, map[string]string{"two.toml": fmt.Sprintf("output = %q\ndevice = \"ref\"\n[score]\nsamples = 4\n[measure]\nbatch = []\n"+
		"[[target]]\nmodel = %q\ntask = { name = \"text\", path = %q }\n[[target]]\nmodel = \"/no/model\"\ntask = { name = \"text\", path = %[3]q }\n", results, m, data)})
	for _, command := range []string{"run", "eval", "score"} {
		fails(t, exitFailed, []string{"run 2 of 2 (/no/model", "there is no such directory"}, command, filepath.Join(dir, "two.toml"))
		if n := len(stages(t, results)); n != 0 {
			t.Errorf("%s: %d stages were done before a model was looked for", command, n)
		}
	}

	pictures, images := imageData(t), imageModel(t)
	none := filepath.Join(pictures, "none.png")
	put(t, pictures, map[string]string{"list.txt": "test/0/0.png\nnone.png\n"})
	fails(t, exitFailed, []string{none, "no such file"}, "predict", "--model", images, "--image", none, "--device", "none")
	r := optin(t, "predict", "--model", images, "--input", filepath.Join(pictures, "list.txt"), "--device", "ref")
	if r.code != exitFailed || r.out != "" || !strings.Contains(r.report, none) || !strings.Contains(r.report, "list.txt") {
		t.Errorf("a picture of a list is missing: status %d\n%s%s", r.code, r.out, r.report)
	}
}

// TestNoTestSplit evaluates data without a test split: the message names the split
// that is there, and what it says works.
func TestNoTestSplit(t *testing.T) {
	m, data := textModel(t, "bert-basic"), textData(t)
	if err := os.Remove(filepath.Join(data, "test.tsv")); err != nil {
		t.Fatal(err)
	}
	eval := []string{"eval", "--model", m, "--task", "text", "--data", data, "--device", "ref", "--output", t.TempDir()}
	remedy := []string{"no test split", "or evaluate on the dev split, which is there", "--set evaluate.split=dev", "--split dev"}
	fails(t, exitFailed, remedy, eval...)
	path, _ := experimentFile(t, m, data, small)
	fails(t, exitFailed, remedy, "run", path)
	training, _ := trainingFile(t, m, data, "")
	fails(t, exitFailed, remedy, "train", training)
	for _, more := range [][]string{{"--split", "dev"}, {"--set", "evaluate.split=dev"}} {
		if out := works(t, append(eval, more...)...); !strings.Contains(out, "on text dev") {
			t.Errorf("%v: %s", more, out)
		}
	}
	if err := os.Remove(filepath.Join(data, "dev.tsv")); err != nil {
		t.Fatal(err)
	}
	if r := optin(t, eval...); r.code != exitFailed || !strings.Contains(r.report, "no test split") || strings.Contains(r.report, "dev split") {
		t.Errorf("with neither: status %d\n%s", r.code, r.report)
	}
}

// TestRunAlone refuses a second run in one folder, whatever it is to do, until the
// first has ended.
func TestRunAlone(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	if err := os.MkdirAll(results, 0o777); err != nil {
		t.Fatal(err)
	}
	release, err := disk.Lock(results)
	if err != nil {
		t.Fatal(err)
	}
	fails(t, exitFailed, []string{"results folder (key output)", results, "another process is writing there: wait for it, or choose another folder"}, "run", path)
	if n := len(stages(t, results)); n != 0 {
		t.Errorf("%d stages were done beside another run", n)
	}
	release()
	works(t, "run", path)
	works(t, "run", path)
}

// TestInvalid alters the stored proof of a run: its figures are reported, as
// INVALID, and the program fails.
func TestInvalid(t *testing.T) {
	path, results := experimentFile(t, textModel(t, "bert-basic"), textData(t), small)
	works(t, "run", path)
	for name, text := range stages(t, results) {
		if !strings.HasPrefix(name, "verify-") {
			continue
		}
		_, proof, _ := strings.Cut(text, `"result":`)
		proof = strings.Replace(strings.TrimSuffix(proof, "}"), `"Difference":`, `"Difference":1`, 1)
		put(t, filepath.Join(results, "stages"), map[string]string{
			name: fmt.Sprintf(`{"seconds":1,"sha256":"%x","result":%s}`, sha256.Sum256([]byte(proof)), proof)})
	}
	fails(t, exitFailed, []string{"a compacted model is not the masked one", "see the verdicts in the report"}, "run", path)
	for file, want := range map[string]string{"record.json": `"valid": false`, "report.md": "INVALID"} {
		if !strings.Contains(get(t, filepath.Join(results, file)), want) {
			t.Errorf("%s does not say %s", file, want)
		}
	}
	if out := works(t, "report", results); !strings.Contains(out, "INVALID") {
		t.Errorf("the tables do not say INVALID:\n%s", out)
	}
}

// TestOverflow predicts with weights that are finite, and logits that are not.
func TestOverflow(t *testing.T) {
	dir := textModel(t, "bert-basic")
	file := []byte(get(t, filepath.Join(dir, "model.safetensors")))
	size := 8 + int(binary.LittleEndian.Uint64(file))
	var tensors map[string]json.RawMessage
	if err := json.Unmarshal(file[8:size], &tensors); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]float32{"bert.pooler.dense.bias": 100, "classifier.weight": 3e38} {
		var h header
		if err := json.Unmarshal(tensors[name], &h); err != nil || h.DType != "F32" {
			t.Fatalf("%s: %+v %v", name, h, err)
		}
		for at := size + h.Offsets[0]; at < size+h.Offsets[1]; at += 4 {
			binary.LittleEndian.PutUint32(file[at:], math.Float32bits(value))
		}
	}
	put(t, dir, map[string]string{"model.safetensors": string(file)})
	fails(t, exitFailed, []string{"input 1: the model's logits are not finite numbers; check its weights"}, "predict", "--model", dir, "--text", "a", "--device", "cpu", "--threads", "1")
}
