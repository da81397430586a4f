// Package count is the interpreter that computes nothing: its tensors have
// shapes but no values, and each op checks its arguments and counts the
// multiply-accumulates that another interpreter would run. Weights are never
// read, so a model can be counted without loading it.
//
// PeakBytes is the memory that the same program would take in float32 tensors
// and unpacked float32 weights.
package count
