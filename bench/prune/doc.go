// Package prune decides what a model can do without, and removes it.
//
// The parts are separate and data flows one way: a score per unit (trajectory,
// or a baseline), a search that turns scores and a budget into a [Mask], and
// Compact, which removes what the mask switches off. None of them knows which
// architecture it works on: a model lists its sites, and that is all they see.
//
// Formulas are those of Khaki and Plataniotis, "The Need for Speed: Pruning
// Transformers with One Recipe", ICLR 2024 (OPTIN), where nothing else is said.
package prune
