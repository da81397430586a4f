//go:build cuda

package cuda

import "optin/kernels"

// wholeChip is how many blocks keep every chip busy: sums are cut into about as many parts.
const wholeChip = 512

func (o *ops) SumRows(dst, x *kernels.Tensor) {
	kernels.CheckSumRows(dst, x)
	if x.Len() > 0 {
		o.sumRows(dst, x, x.Rows/dst.Rows, dst.Len())
	}
}

// sumRows adds to dst the sum over the rows of x [rows, cols], neither of which is 0.
func (o *ops) sumRows(dst, x *kernels.Tensor, rows, cols int) {
	mark := o.Mark()
	across := ceil(cols, 128)
	chunks := min(ceil(rows, 64), max(1, wholeChip/across))
	var partial *kernels.Tensor
	if chunks > 1 {
		partial = o.doubles(chunks * cols)
	}
	o.launch("optin_sum_rows_f32", size{x: across, y: chunks}, size{x: 32, y: 8}, address(dst), address(partial), address(x),
		number(rows), long(cols))
	if chunks > 1 {
		o.addColumns(dst, address(partial), chunks, cols, cols)
	}
	o.Release(mark)
}

func (o *ops) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	kernels.CheckUnitSums(dst, x, y, seg)
	if x.Len() == 0 {
		return
	}
	span, longest, segments := y.Rows, y.Rows, 1
	if seg != nil {
		span, longest, segments = seg.Rows(), seg.Max, seg.Count()
	}
	copies, across := x.Rows/span, ceil(x.Cols, 128)
	chunks := min(max(1, ceil(copies*longest, 64)), max(1, wholeChip/(across*segments)))
	mark := o.Mark()
	partial := o.doubles(segments * chunks * x.Cols)
	o.launch("optin_unit_products_f32", size{x: across, y: chunks, z: segments}, size{x: 32, y: 8}, address(partial), address(x), address(y),
		o.offsetsOf(seg), number(span), number(copies), number(y.Rows/span), number(x.Cols))
	name := "optin_unit_sums_f32"
	if dst.Type == kernels.F64 {
		name = "optin_unit_sums_f64"
	}
	o.launch(name, size{x: ceil(dst.Len(), 8)}, size{x: 32, y: 8}, address(dst), address(partial),
		number(segments), number(chunks), number(dst.Cols), number(x.Cols/dst.Cols))
	o.Release(mark)
}

func (o *ops) SquaredNorm(dst, x *kernels.Tensor) {
	kernels.CheckSquaredNorm(dst, x)
	if x.Len() == 0 {
		return
	}
	mark := o.Mark()
	blocks := min(ceil(x.Len(), 8192), 1024)
	partial := o.doubles(blocks)
	o.launch("optin_squared_norm_f64", size{x: blocks}, size{x: 256}, address(partial), address(x), long(x.Len()))
	o.addSums(dst, partial, 1, blocks)
	o.Release(mark)
}

// addSums adds to each of the doubles of dst the sum of its count doubles of partial.
func (o *ops) addSums(dst, partial *kernels.Tensor, outputs, count int) {
	o.launch("optin_add_sums_f64", size{x: outputs}, size{x: 256}, address(dst), address(partial), long(count))
}
