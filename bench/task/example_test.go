package task_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"optin/bench/task"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "texts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	rows := "review\tmood\nfine film\tgood\ntoo long\tbad\n"
	if err := os.WriteFile(filepath.Join(dir, "train.tsv"), []byte(rows), 0o666); err != nil {
		log.Fatal(err)
	}
	t, err := task.Open(task.Config{Name: "text", Path: dir, Text: "review", Label: "mood"})
	if err != nil {
		log.Fatal(err)
	}
	train, err := t.Load(task.Train)
	if err != nil {
		log.Fatal(err)
	}
	for i := range train.Len() {
		ex, err := train.Example(i)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", ex.Text, t.Labels[ex.Label])
	}
	// Output:
	// fine film: good
	// too long: bad
}
