// Package roofline says how fast kernels could be at best and how near they come. What a
// kernel must move and compute is counted where the work is, by an interpreter that books a
// [Launch] for every op; the least time for that follows from what a device moves and computes
// in a second: by its data sheet ([Chip]), or as it was measured ([Rates]).
//
// It receives devices as kernels.Device and knows none of them.
package roofline
