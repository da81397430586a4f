// Package metric turns logits and targets into the figures a task is judged
// by, each with its standard error: accuracy, F1 and Matthews for classes,
// Pearson and Spearman for a regression.
//
// An Accumulator takes one row at a time and may be merged with others, so
// each worker can have its own. The figures are fractions, never percent.
//
// Standard errors: accuracy has the binomial one, sqrt(p(1-p)/n). F1, Matthews
// and Pearson have the delete-one jackknife, computed exactly from the
// confusion matrix or the moments. Spearman has that of Bonett and Wright
// (2000), sqrt((1 + r²/2)/(n-3)) on Fisher's z, times 1-r² for r itself,
// because ranks move when an example is left out. Two models on the same
// examples are compared by PairedBootstrap, whose interval is much narrower than
// two standard errors: what is hard for both cancels.
package metric
