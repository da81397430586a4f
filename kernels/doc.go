// Package kernels is the seam between models and machines.
//
// A model is Go code that calls [Ops]; what runs it is an interpreter:
// ref computes in float64 and is the ground truth, cpu is C and oneDNN, count
// only counts. Model code never reads the values of a tensor, so every
// interpreter sees the same program.
//
// # Packed rows
//
// Activations are matrices of packed rows: the tokens of all sequences of a
// batch one after the other, without padding. [Sequences] says where each one
// begins. Padding therefore costs nothing, and the multiply-accumulates (MACs)
// that are counted are the ones that run.
//
// # Variants
//
// Any op accepts V variants of the same batch stacked along the rows: V*N rows
// for N packed ones. Masks have one row per variant; the mask of row r is
// r / (rows / V). This is how many pruned versions of a model run as one batch.
//
// # Errors
//
// A shape that does not fit is a programming error and panics with a message
// that begins "kernels:". What can go wrong in the world (memory, a device's
// status, weights that cannot be read) is raised by [Fail] and turned back into
// an error by [Try], which every [Device] calls around the work it is given.
package kernels
