// Package model holds the architectures: BERT and ViT/DeiT encoders with a
// classification head, written once over kernels.Ops, read from and written to
// Hugging Face directories.
//
// A model knows no device and never reads the values of a tensor. What pruning
// needs is offered without saying which architecture it is: [Model.Sites] lists
// where masks act, Capture runs a block up to a site, and Finish runs on from
// there.
//
// Importers: prune, experiment, cmd.
package model
