package task

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cifarFile is records of label bytes and one colour each.
func cifarFile(labels [][]byte, r, g, b byte) string {
	var out bytes.Buffer
	for _, l := range labels {
		out.Write(l)
		for _, v := range []byte{r, g, b} {
			out.Write(bytes.Repeat([]byte{v}, cifarSide*cifarSide))
		}
	}
	return out.String()
}

func TestCIFAR(t *testing.T) {
	files := map[string]string{"test_batch.bin": cifarFile([][]byte{{3}, {9}}, 1, 2, 3), "data_batch_5.bin": cifarFile([][]byte{{10}}, 0, 0, 0)}
	for i := 1; i <= 4; i++ {
		files["data_batch_"+string(rune('0'+i))+".bin"] = cifarFile([][]byte{{byte(i)}}, 0, 0, 0)
	}
	task := open(t, Config{Name: "cifar10", Path: writeFiles(t, files)})
	test := all(t, load(t, task, Test))
	if len(test) != 2 || task.Labels[test[1].Label] != "truck" || string(test[0].Image.Pix[:6]) != "\x01\x02\x03\x01\x02\x03" {
		t.Errorf("test: %d pictures, %+v", len(test), test[1].Label)
	}
	if train := all(t, load(t, task, Train)); len(train) != 4 || train[2].Label != 3 {
		t.Errorf("train: %d pictures", len(train))
	}
	_, err := task.Load(Dev)
	wantError(t, err, "data_batch_5.bin: picture 0 has label 10, want 0 to 9")

	files["test_batch.bin"] = files["test_batch.bin"][1:]
	files["batches.meta.txt"] = "a b c d e f g h i j"
	task = open(t, Config{Name: "cifar10", Path: writeFiles(t, files)})
	if task.Labels[9] != "j" {
		t.Errorf("labels %q, want those of batches.meta.txt", task.Labels)
	}
	_, err = task.Load(Test)
	wantError(t, err, "test_batch.bin: 6145 bytes, want a multiple of 3073")
	_, err = open(t, Config{Name: "cifar100"}).Load(Train)
	wantError(t, err, "CIFAR is not at data/cifar-100-binary/train.bin", "cs.toronto.edu")

	hundred := map[string]string{"cifar-100-binary/test.bin": cifarFile([][]byte{{4, 0}, {13, 99}}, 0, 0, 0), "cifar-100-binary/train.bin": cifarFile([][]byte{{1, 1}}, 0, 0, 0)}
	task = open(t, Config{Name: "cifar100", Path: writeFiles(t, hundred)})
	test = all(t, load(t, task, Test))
	if len(task.Labels) != 100 || task.Labels[test[0].Label] != "apple" || task.Labels[test[1].Label] != "worm" {
		t.Errorf("%d labels; %d and %d", len(task.Labels), test[0].Label, test[1].Label)
	}
	_, err = task.Load(Train)
	wantError(t, err, "too few to hold out 10000")
}

func TestFolder(t *testing.T) {
	red, blue := pngFile(t, 3, 2, color.NRGBA{R: 255, A: 255}), pngFile(t, 2, 2, color.NRGBA{B: 255, A: 9})
	files := map[string]string{
		"train/cat/1.png": red, "train/cat/0.PNG": blue, "train/ant/x.png": red, "train/ant/notes.txt": "no picture",
		"val/cat/1.png": red[:40],
	}
	dir := writeFiles(t, files)
	task := open(t, Config{Name: "image-folder", Path: dir})
	train := all(t, load(t, task, Train))
	if strings.Join(task.Labels, " ") != "ant cat" || len(train) != 3 || train[0].Label != 0 || train[1].Image.Pix[2] != 255 {
		t.Errorf("labels %q, %d pictures", task.Labels, len(train))
	}
	_, err := load(t, task, Dev).Example(0)
	wantError(t, err, filepath.Join(dir, "val", "cat", "1.png"), "corrupt picture")
	reordered := open(t, Config{Name: "image-folder", Path: dir, Labels: []string{"cat", "ant"}})
	if ex, _ := load(t, reordered, Train).Example(0); ex.Label != 0 || ex.Image.Width != 2 {
		t.Errorf("the first picture by the key labels: %+v", ex)
	}

	_, err = Open(Config{Name: "image-folder", Path: "/nowhere"})
	wantError(t, err, "split is not at /nowhere/", "make folders train, dev and test")
	if err := os.Mkdir(filepath.Join(dir, "val", "dog"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = task.Load(Dev)
	wantError(t, err, `folder "dog" is not one of the labels "ant", "cat"`)
	if err := os.Mkdir(filepath.Join(dir, "test"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = task.Load(Test)
	wantError(t, err, "no folders, want one for each label")
	folder := filepath.Join(dir, "train", "cat", "2.png")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err = task.Load(Train)
	wantError(t, err, folder+" has the name of a picture, but is no file: remove it")
}

func TestImageNet(t *testing.T) {
	red := pngFile(t, 3, 2, color.NRGBA{R: 255, A: 255})
	files := map[string]string{"val/n01440764/a.png": red, "val/n01443537/a.png": red}
	task := open(t, Config{Name: "imagenet", Path: writeFiles(t, files)})
	if d := load(t, task, Test); d.Len() != 2 || task.Labels[1] != "n01443537" {
		t.Errorf("%d pictures, labels %q", d.Len(), task.Labels)
	}
	// Folders without names have the order of a model that has as many outputs.
	if m, err := task.MapLabels([]string{"tench, Tinca tinca", "goldfish"}); err != nil || m[1] != 1 {
		t.Errorf("mapping %v, %v", m, err)
	}
	files["LOC_synset_mapping.txt"] = "n00000001 first, one\nn01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n"
	task = open(t, Config{Name: "imagenet", Path: writeFiles(t, files)})
	ex, err := load(t, task, Test).Example(1)
	if err != nil || task.Labels[ex.Label] != "goldfish, Carassius auratus" {
		t.Errorf("label %d of %q, %v", ex.Label, task.Labels, err)
	}
	files["LOC_synset_mapping.txt"] = "n00000001 first\nn2\n"
	_, err = Open(Config{Name: "imagenet", Path: writeFiles(t, files)})
	wantError(t, err, "LOC_synset_mapping.txt: line 2")
}
