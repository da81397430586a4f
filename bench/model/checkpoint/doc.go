// Package checkpoint reads and writes the weight files of Hugging Face model directories.
//
// [Open] understands model.safetensors, its sharded form with an index file, and pytorch_model.bin (single or sharded).
// [Write] writes safetensors. The package knows names, types and shapes of tensors, and no model: what a name means, and
// whether a shape suits a config.json, is decided by the packages above it.
//
// # Memory
//
// Opening reads headers only. Values are read with positioned reads through a small buffer and converted on the way, so a
// checkpoint never occupies memory beside the weights made from it. Files are not mapped into memory on purpose: a mapped
// file that another process cuts short would end the program with a signal instead of an error.
//
// Values of a PyTorch file are compared with the checksum of its archive whenever a whole storage is read, which is the rule;
// safetensors has no checksums.
//
// # Trust
//
// Weight files come from strangers. Nothing in a header is believed before it has been checked against the size of the
// file, so a lying header can cost no more memory than a small multiple of the header itself; safetensors must be laid out
// exactly as its format says, without holes, overlaps or trailing bytes. A PyTorch file is a zip archive with a pickle, a
// small program for a stack machine that Python would execute; the machine here can build dictionaries, tuples, numbers and
// descriptions of tensors, and refuses, by name, everything else.
//
// Every refusal is a [*FormatError] that names file, tensor, problem and remedy.
package checkpoint
