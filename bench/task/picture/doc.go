// Package picture reads images and turns them into what a vision model takes,
// as Hugging Face's image processors do with Pillow: resize, centre crop,
// rescale and normalise by the keys of preprocessor_config.json.
//
// The resampler is Pillow's, bit for bit: the filter is widened when it
// shrinks, its weights are fixed-point numbers, and the image between the
// horizontal and the vertical pass is rounded to 8 bits. JPEG files are decoded
// by Go's decoder, with the colour planes enlarged and converted as libjpeg
// does; the two still differ by a unit here and there, as decoders do.
//
// As in Hugging Face's processors, the EXIF orientation is not applied, and a
// transparent image keeps its colours and loses its transparency.
package picture
