// Package train trains a model: by labels, by a teacher, or both.
//
//	start, err := train.OpenStart(train.Opening{Dir: "experiments/models/bert-wordnet", ...})
//	t, err := train.New(device, train.Job{Start: start, Data: data, Settings: settings})
//	err = t.Run(ctx, func(p train.Point) error { ... })
//	err = model.Save(t.Model(), dir, start.Dir, nil)
//
// A pruned model is trained like any other: its layers' sizes are those of its
// config.json.
//
// # Bits
//
// What comes out depends on the settings, the data and the kernels, and not on
// the number of workers: a batch is cut into micro-batches that belong to a fixed
// number of lanes, each of which adds up gradients of its own, and lanes are
// added in their order. Every random choice is drawn from a stream named by the
// seed, its purpose and the step, so that a training that goes on from a
// checkpoint (see Trainer.Save) ends in the same bits as one that never stopped.
//
// # Memory
//
// Beside the parameters there are two moments, a gradient for every lane, and,
// if asked for, the average of the parameters; and on every worker what a
// micro-batch leaves behind on its way forward, or with Settings.Recompute the
// inputs of the blocks alone.
//
// The package stands beside prune: it knows models, tasks' examples and kernels,
// and no files but its checkpoints.
package train
