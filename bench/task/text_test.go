package task

import (
	"reflect"
	"strings"
	"testing"
)

func TestGLUE(t *testing.T) {
	const stsb = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
	for _, test := range []struct {
		name, file, text string
		want             []Example
	}{
		{"cola", "dev.tsv", "gj04\t1\t\tThe \"sailors rode.\nbc80\t0\t*\tIt mine.\n", []Example{
			{Text: "The \"sailors rode.", Label: 1}, {Text: "It mine."},
		}},
		{"sst2", "dev.tsv", "sentence\tlabel\r\nit 's fun . \t1\r\n\r\n\"bad\t0\r\n", []Example{{Text: "it 's fun . ", Label: 1}, {Text: "\"bad"}}},
		{"mrpc", "dev.tsv", "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta \" b\tc\n", []Example{{Text: "a \" b", TextPair: "c", HasPair: true, Label: 1}}},
		{"mrpc", "msr_paraphrase_test.txt", "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\ta\tc\n", []Example{{Text: "a", TextPair: "c", HasPair: true}}},
		{"stsb", "dev.tsv", stsb + "0\tg\tf\ty\t0\tn\tn\tone\ttwo\t3.250\n", []Example{{Text: "one", TextPair: "two", HasPair: true, Label: -1, Target: 3.25}}},
		{"qqp", "dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tbroken\n1\t2\t3\tq?\tr?\t1\n", []Example{{Text: "q?", TextPair: "r?", HasPair: true, Label: 1}}},
		{"mnli", "dev_matched.tsv", "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n0\tg\tp\th\tneutral\tcontradiction\n", []Example{{Text: "p", TextPair: "h", HasPair: true, Label: 2}}},
		{"mnli-mm", "dev_mismatched.tsv", "index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n0\tg\tp\th\tx\tentailment\n", []Example{{Text: "p", TextPair: "h", HasPair: true}}},
		{"qnli", "dev.tsv", "index\tquestion\tsentence\tlabel\n0\tq\ts\tnot_entailment\n", []Example{{Text: "q", TextPair: "s", HasPair: true, Label: 1}}},
		{"rte", "dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\tq\ts\tentailment\n", []Example{{Text: "q", TextPair: "s", HasPair: true}}},
	} {
		t.Run("file="+test.name+"-"+test.file, func(t *testing.T) {
			dir := glueDir(test.name) + "/"
			task := open(t, Config{Name: test.name, Path: writeFiles(t, map[string]string{dir + test.file: test.text})})
			split := Dev
			if strings.Contains(test.file, "test") {
				split = Test
			}
			d := load(t, task, split)
			if got := all(t, d); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
			if test.name == "qqp" && len(d.Notes) != 1 {
				t.Errorf("notes %q, want the broken line", d.Notes)
			}
		})
	}
}

func glueDir(name string) string {
	for _, g := range glueTasks() {
		if g.name == name {
			return g.dir
		}
	}
	return ""
}

func TestGLUEErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"sst2", "sentence\tlabel\nfine\t1\n\nbad\n", "dev.tsv: line 4: 1 columns, want 2"},
		{"sst2", "sentence\tlabel\nfine\t1\textra\n", "dev.tsv: line 2: 3 columns, want 2"},
		{"sst2", "sentence\tlabel\nfine\tpositive\n", `line 2: label "positive", want one of "0", "1"`},
		{"sst2", "text\tlabel\nfine\t1\n", `no column "sentence": the header has ["text" "label"]`},
		{"sst2", "", "empty, want a header line"},
		{"sst2", "sentence\tlabel\n", "the dev split is empty"},
		{"cola", "gj04\t1\n", "line 1: 2 columns, want at least 4"},
		{"stsb", "score\tsentence1\tsentence2\n5.5\ta\tb\n", "line 2: score is 5.5, want 0 to 5"},
		{"stsb", "score\tsentence1\tsentence2\nNaN\ta\tb\n", `line 2: score is "NaN", want a number`},
	} {
		_, err := open(t, Config{Name: test.name, Path: writeFiles(t, map[string]string{"dev.tsv": test.text})}).Load(Dev)
		wantError(t, err, "task "+test.name+": ", test.want)
	}
	_, err := open(t, Config{Name: "rte"}).Load(Dev)
	wantError(t, err, "GLUE's RTE is not at data/glue/RTE/dev.tsv", "https://dl.fbaipublicfiles.com/glue/data/RTE.zip", "set path")
	_, err = open(t, Config{Name: "rte"}).Load(Test)
	wantError(t, err, "not public: use dev")
	_, err = open(t, Config{Name: "rte"}).Load("valid")
	wantError(t, err, `no split "valid"`)
}

func TestText(t *testing.T) {
	want := []Example{{Text: "a \"b\"", TextPair: "c", HasPair: true, Label: 1}, {Text: "d", TextPair: "e,f", HasPair: true}}
	keys := Config{Name: "text", Text: "x", TextPair: "y", Label: "z"}
	numbers := Config{Name: "text", Text: "1", TextPair: "2", Label: "3", NoHeader: true, Format: "tsv", Train: "data.txt"}
	for _, test := range []struct {
		file, text string
		cfg        Config
	}{
		{"train.tsv", "x\ty\tz\na \"b\"\tc\tyes\nd\te,f\tno\n", keys},
		{"train.csv", "z,x,y\r\nyes,\"a \"\"b\"\"\",c\r\nno,d,\"e,f\"\r\n", keys},
		{"train.jsonl", "{\"x\": \"a \\\"b\\\"\", \"y\": \"c\", \"z\": \"yes\", \"more\": [1]}\n\n{\"x\": \"d\", \"y\": \"e,f\", \"z\": \"no\"}\n", keys},
		{"data.txt", "a \"b\"\tc\tyes\nd\te,f\tno\n", numbers},
	} {
		t.Run("file="+test.file, func(t *testing.T) {
			test.cfg.Path = writeFiles(t, map[string]string{test.file: test.text})
			task := open(t, test.cfg)
			if !reflect.DeepEqual(task.Labels, []string{"no", "yes"}) {
				t.Errorf("labels %q", task.Labels)
			}
			if got := all(t, load(t, task, Train)); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestTextLabels(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"train.jsonl": "{\"text\": \"a\", \"label\": 10}\n{\"text\": \"b\", \"label\": 9}\n{\"text\": \"c\", \"label\": 10}\n",
		"dev.jsonl":   "{\"text\": \"a\", \"label\": 8}\n",
		"test.csv":    "text,label\na,1.5\nb,-2\n",
	})
	task := open(t, Config{Name: "text", Path: dir})
	if !reflect.DeepEqual(task.Labels, []string{"9", "10"}) || task.Metrics[0] != "accuracy" {
		t.Errorf("labels %q, metrics %q", task.Labels, task.Metrics)
	}
	_, err := task.Load(Dev)
	wantError(t, err, "dev.jsonl: line 1", `label "8", want one of "9", "10"`)
	given := open(t, Config{Name: "text", Path: dir, Labels: []string{"10", "9", "8"}, Metrics: []string{"f1"}})
	if ex := all(t, load(t, given, Dev)); ex[0].Label != 2 {
		t.Errorf("label %d, want 2, its place in the key labels", ex[0].Label)
	}
	reg := open(t, Config{Name: "text", Path: dir, Regression: true})
	if ex := all(t, load(t, reg, Test)); ex[0].Target != 1.5 || ex[1].Target != -2 || reg.Metrics[0] != "pearson" || reg.Labels != nil {
		t.Errorf("regression: %+v, metrics %q", ex, reg.Metrics)
	}
	plain, err := ReadTexts(Config{}, dir+"/test.csv")
	if err != nil || len(plain) != 2 || plain[0].Label != -1 || plain[1].Text != "b" {
		t.Errorf("without labels: %+v, %v", plain, err)
	}
}

func TestTextErrors(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"train.tsv":  "text\tlabel\na\tx\nb\n",
		"one.csv":    "text,label\na,x\nb,x\n",
		"quote.csv":  "text,label\na,x\n\"b,x\n",
		"bad.jsonl":  "{\"text\": \"a\", \"label\": \"x\"}\n[1]\n",
		"none.jsonl": "{\"text\": \"a\"}\n",
		"null.jsonl": "{\"text\": null, \"label\": \"x\"}\n",
		"odd.xml":    "<x>",
		"twice.tsv":  "text\tlabel\tlabel\na\tx\tx\nc\ty\ty\n",
		"blank.csv":  "text,label\na,\n",
	})
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "train.tsv: line 3: 1 columns, want 2"},
		{Config{Train: "one.csv"}, `column "label" has 1 different labels`},
		{Config{Train: "quote.csv"}, "quote.csv: line 3"},
		{Config{Train: "bad.jsonl"}, "bad.jsonl: line 2: want one JSON object"},
		{Config{Train: "none.jsonl"}, `none.jsonl: line 1: no "label"`},
		{Config{Train: "odd.xml"}, "set task.format"},
		{Config{Train: "twice.tsv"}, `column "label" is twice in the header`},
		{Config{Train: "blank.csv"}, `line 2: the label column "label" is empty`},
		{Config{Train: "gone.csv"}, "gone.csv: set path and train"},
		{Config{Train: "one.csv", Label: "class"}, `no column "class": the header has`},
		{Config{Train: "one.csv", NoHeader: true}, `column "label": without a header`},
		{Config{Train: "one.csv", Labels: []string{"x", "x"}}, "named twice"},
		{Config{Train: "one.csv", Labels: []string{"x", "y"}, Metrics: []string{"pearson"}}, `unknown metric "pearson"`},
		{Config{Regression: true, Labels: []string{"x"}}, "a regression has none"},
		{Config{MaxLength: -1}, "max_length is -1"},
	} {
		test.cfg.Name, test.cfg.Path = "text", dir
		_, err := Open(test.cfg)
		wantError(t, err, test.want)
	}
	task := open(t, Config{Name: "text", Path: dir, Train: "null.jsonl", Labels: []string{"x", "y"}})
	_, err := task.Load(Train)
	wantError(t, err, `null.jsonl: line 1: no "text"`)
	_, err = task.Load(Dev)
	wantError(t, err, "no dev split: set dev to its file")
	_, err = Open(Config{Name: "text", Path: t.TempDir()})
	wantError(t, err, "no labels: give them with the key labels")
}

func FuzzTSV(f *testing.F) {
	f.Add("text\tlabel\na\tx\nb\ty\n", 0)
	f.Add("\ufeff\"text\",label\r\n\"a\n\"\"b\",x\r\n", 1)
	f.Add("{\"text\": \"a\", \"label\": 1e400}\n{\"label\": [}\n", 2)
	f.Fuzz(func(t *testing.T, text string, kind int) {
		format := []string{"tsv", "csv", "jsonl"}[uint(kind)%3]
		for _, header := range []bool{true, false} {
			cols := &columns{text: "text", label: "label", values: map[string]int{"x": 0, "y": 1}}
			if !header {
				cols.text, cols.label = "1", "2"
			}
			examples := 0
			err := scanRows(strings.NewReader(text), "file", format, header, func(r *rows, rec row) error {
				ex, err := cols.example(r, rec)
				if err == nil && (ex.Label < 0 || ex.Label > 1) {
					t.Fatalf("label %d", ex.Label)
				}
				examples++
				return err
			})
			if err != nil && !strings.HasPrefix(err.Error(), "file: ") {
				t.Fatalf("error without the file: %v", err)
			}
			if format == "tsv" && err == nil && header && examples > strings.Count(text, "\n") {
				t.Fatalf("%d examples in %q", examples, text)
			}
		}
	})
}
