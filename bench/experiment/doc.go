// Package experiment turns an experiment file into runs, does them, and says in
// a record what came out.
//
// A [Plan] is a file that was read and found to make sense; [WriteKeys] says what
// may stand in one. Its lists span a grid of [Run]s. [Host.Execute] takes each run
// through its stages:
//
//	dense     metrics of the model as it is
//	score     a score for every head and neuron
//	search    which of them remain under the budget
//	verify    the proof that the compacted model is the masked one
//	evaluate  metrics of the compacted model
//	time      its speed beside the dense model's
//
// The result of a stage is stored in the results folder under a hash of all that
// it depends on: keys of the file, model, data, device and program ([Run.Hash]).
// So runs share what they have in common, such as one set of scores at many
// budgets, and a run that was stopped goes on where it was. What scores are
// weighed from, the trajectory, is stored by itself: weighing it otherwise
// measures nothing again.
//
// Programs import this package; it imports models, pruning, tasks and records,
// and knows no device by name.
package experiment
