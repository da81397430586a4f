// Package measure times things, and says how far the numbers can be trusted: interleaved
// timing with intervals, peak memory, energy, and the machine that it all happened on.
//
// It receives functions and knows nothing of models, kernels or devices; it imports no
// other package of this project, and any may import it.
//
// # How a time is measured
//
// [Interleave] first runs all cases in turn until their times settle. Then each round runs
// every case once, in a random order: whatever slows the machine for a while slows all
// cases alike. Times are not normally distributed, so a result is the median of the
// rounds, with an interval from order statistics that assumes no distribution. A speed-up
// is the ratio of two medians, and its interval comes from resampling whole rounds, which
// keeps what the cases of a round had in common. What makes a number doubtful is returned
// beside it, as [Warning] values.
//
// # Energy
//
// A [Watcher] tells what the device does during the rounds, and whether it was slowed down.
// Its counter of energy is read before and after each case of a round, so that a case is
// given what its own rounds took. Counters move only now and then, those of GPUs ten times a
// second: where rounds are too short for that, a few longer ones follow for the energy alone.
package measure
