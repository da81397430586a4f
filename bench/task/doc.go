// Package task is what a model is asked to do: data sets with their splits,
// labels and metrics, and the encoder that turns an example into a model's
// inputs.
//
//	t, err := task.Open(task.Config{Name: "fashion-mnist"})
//	test, err := t.Load("test")
//	enc, err := task.OpenEncoder(modelDir, t, task.Inputs{...})
//	ex, err := test.Example(0)
//	in, err := enc.Encode(ex)
//
// Built in are fashion-mnist, wordnet, the GLUE tasks, CIFAR-10 and -100 and
// imagenet; text and image-folder take a user's own data. Nothing is
// downloaded: data that is missing is an error that says where it was looked
// for and where to get it.
//
// The package imports no model and no kernel. Its parts are wordpiece (the
// tokenizer), picture (images) and metric.
package task
