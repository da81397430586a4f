//go:build cuda

package cuda

import "optin/kernels"

func (o *ops) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	kernels.CheckEmbed(ids, table, add)
	o.checkIndices("Embed", ids, 0, table.Rows)
	y := o.floats(ids.Rows, table.Cols)
	if y.Len() > 0 {
		o.moves("optin_embed_f32", y.Rows, y.Cols, address(y), address(o.plain(table)), address(ids), address(add),
			number(y.Rows), number(y.Cols))
	}
	return y
}

func (o *ops) Patchify(images *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	kernels.CheckPatchify(images, s)
	y := o.floats(images.Rows*s.Patches(), s.Channels*s.Patch*s.Patch)
	o.patches("optin_patchify_f32", y, images, images.Rows, s)
	return y
}

func (o *ops) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	images := kernels.CheckPatchifyBackward(dy, s)
	dx := o.floats(images, s.Channels*s.Height*s.Width)
	o.patches("optin_patchify_backward_f32", dx, dy, images, s)
	return dx
}

func (o *ops) patches(name string, dst, src *kernels.Tensor, images int, s kernels.PatchSpec) {
	if images == 0 {
		return
	}
	pixels := s.Channels * s.Height * s.Width
	o.launch(name, size{x: ceil(pixels, 256), y: min(images, maxGridY)}, size{x: 256}, address(dst), address(src),
		number(images), number(s.Channels), number(s.Height), number(s.Width), number(s.Patch))
}

func (o *ops) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	variants := kernels.CheckGather(x, idx, span)
	o.checkIndices("Gather", idx, 0, span)
	y := o.floats(variants*idx.Rows, x.Cols)
	if y.Len() > 0 {
		o.moves("optin_gather_f32", y.Rows, y.Cols, address(y), address(x), address(idx),
			number(variants), number(idx.Rows), number(span), number(x.Cols))
	}
	return y
}

// sorted is idx sorted and where each index was, by which rows are added up in one order.
func (o *ops) sorted(idx *kernels.Tensor) (key, order *kernels.Tensor) {
	key, order = o.floats(idx.Rows, 1), o.floats(idx.Rows, 1) // integers, that no other op sees
	o.launch("optin_sort_i32", size{x: ceil(idx.Rows, 64)}, size{x: 256}, address(key), address(order), address(idx), number(idx.Rows))
	return key, order
}

// sortedChunk is how many sorted rows one block of scatter adds up.
const sortedChunk = 32

// scatter adds rows of x up by idx, in variants of dst of span rows each; mean: their means
// take the place of what is in dst, and are not added to it. x has at least one element.
func (o *ops) scatter(dst, x, idx *kernels.Tensor, variants, span int, mean bool) {
	n, cols := idx.Rows, x.Cols
	stack, chunks := x.Rows/(variants*n), ceil(n, sortedChunk)
	how := 0
	if mean {
		how = 1
	}
	mark := o.Mark()
	key, order := o.sorted(idx)
	edges := o.doubles(variants * chunks * 2 * cols)
	grid, block := size{x: chunks, y: ceil(cols, 512), z: variants}, size{x: 32, y: 4}
	o.launch("optin_scatter_f32", grid, block, address(dst), address(edges), address(x), address(key), address(order),
		number(n), number(stack), number(span), number(cols), number(how))
	if chunks > 1 {
		o.launch("optin_scatter_edges_f32", grid, block, address(dst), address(edges), address(key),
			number(n), number(span), number(cols), number(how))
	}
	o.Release(mark)
}

func (o *ops) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	kernels.CheckScatterMean(x, idx, rows)
	o.checkIndices("ScatterMean", idx, 0, rows)
	y := o.floats(rows, x.Cols)
	o.zero(y)
	if x.Len() > 0 {
		o.scatter(y, x, idx, 1, rows, true)
	}
	return y
}

func (o *ops) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	variants := kernels.CheckScatterAdd(dst, x, idx, span)
	o.checkIndices("ScatterAdd", idx, 0, span)
	if x.Len() > 0 {
		o.scatter(dst, x, idx, variants, span, false)
	}
}

func (o *ops) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	stack := kernels.CheckScatterMeanBackward(dy, idx, rows)
	o.checkIndices("ScatterMeanBackward", idx, 0, rows)
	dx := o.floats(stack*idx.Rows, dy.Cols)
	if dx.Len() == 0 {
		return dx
	}
	mark := o.Mark()
	key, _ := o.sorted(idx)
	o.moves("optin_scatter_mean_backward_f32", dx.Rows, dx.Cols, address(dx), address(dy), address(idx), address(key),
		number(idx.Rows), number(rows), number(stack), number(dx.Cols))
	o.Release(mark)
	return dx
}
