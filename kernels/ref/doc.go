// Package ref is the interpreter that defines what the operations of
// [optin/kernels.Ops] mean: every op is a plain loop over its formula, stored
// and summed in float64. It is the ground truth of every other interpreter's
// tests and makes no attempt to be fast.
//
// To catch misuse, values that are undefined by the seam are NaN (an index far
// out of range for integers): those of a new tensor, and those of a tensor
// after its release.
package ref
