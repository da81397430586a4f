package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shared is where a developer's copies of public data sets may lie; nothing
// of them is in this repository.
const shared = "../../../shared/data"

func needFile(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not here", path)
	}
	return path
}

// TestRealCounts reads the data sets that are on this machine to the end.
func TestRealCounts(t *testing.T) {
	for _, c := range []struct {
		name, path, needs string
		train, dev, test  int
	}{
		{"fashion-mnist", "", fashionDir, 55000, 5000, 10000},
		{"wordnet", "", wordNetFile, 65719, 8250, 8146},
		{"sst2", shared + "/glue", shared + "/glue/SST-2", 67349, 872, -1},
		{"mrpc", shared + "/glue/MRPC", shared + "/glue/MRPC", 3668, 408, 1725},
		{"stsb", shared + "/glue", shared + "/glue/STS-B", 5749, 1500, -1},
		{"cola", shared + "/glue", shared + "/glue/CoLA", 8551, 1043, -1},
	} {
		t.Run("task="+c.name, func(t *testing.T) {
			needFile(t, c.needs)
			task, err := Open(Config{Name: c.name, Path: c.path})
			if err != nil {
				t.Fatal(err)
			}
			for split, want := range map[string]int{Train: c.train, Dev: c.dev, Test: c.test} {
				d, err := task.Load(split)
				if want < 0 {
					if err == nil {
						t.Errorf("%s: loaded, want an error", split)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if d.Len() != want {
					t.Errorf("%s: %d examples, want %d", split, d.Len(), want)
				}
				for i := range d.Len() {
					if _, err := d.Example(i); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// TestRealCIFAR reads parts of CIFAR-10 in the official layout.
func TestRealCIFAR(t *testing.T) {
	source := needFile(t, shared+"/cifar10/test_lossless_prefix.bin")
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test_batch.bin"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	task, err := Open(Config{Name: "cifar10", Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	d, err := task.Load(Test)
	if err != nil {
		t.Fatal(err)
	}
	if d.Len() != 846 {
		t.Errorf("%d pictures, want 846", d.Len())
	}
}

// TestRealImageNet reads a few real pictures as class folders, which are
// links, through the preprocessing of a DeiT.
func TestRealImageNet(t *testing.T) {
	source := needFile(t, shared+"/imagenet-sample/images")
	files, err := filepath.Glob(filepath.Join(source, "*.jpg"))
	if err != nil || len(files) != 50 {
		t.Fatalf("%d pictures, want 50 (%v)", len(files), err)
	}
	dir := t.TempDir()
	for _, f := range files {
		wnid, _, _ := strings.Cut(filepath.Base(f), "_")
		class := filepath.Join(dir, "val", wnid)
		if err := os.MkdirAll(class, 0o777); err != nil {
			t.Fatal(err)
		}
		from, err := filepath.Abs(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(class, "1.JPEG")); err != nil {
			t.Fatal(err)
		}
	}
	task := open(t, Config{Name: "imagenet", Path: dir})
	model := writeFiles(t, map[string]string{"preprocessor_config.json": `{"do_center_crop": true, "crop_size": 224,
		"size": 256, "resample": 3, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}`})
	e, err := OpenEncoder(model, task, Inputs{Kind: Picture, Outputs: task.Labels, Channels: 3, Height: 224, Width: 224})
	if err != nil {
		t.Fatal(err)
	}
	d := load(t, task, Test)
	for i := range d.Len() {
		ex, err := d.Example(i)
		if err != nil {
			t.Fatal(err)
		}
		in, err := e.Encode(ex)
		if err != nil || len(in.Pixels) != 3*224*224 || in.Label != i {
			t.Fatalf("picture %d: %d values, label %d, %v", i, len(in.Pixels), in.Label, err)
		}
	}
}
