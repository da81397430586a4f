//go:build cuda

package cuda

import "optin/kernels"

// manifoldSide is a side of the squares of matrices [D, D], manifoldTile and manifoldLarge
// those of the tiles of M [n, n], large where n is more than manifoldRows.
const (
	manifoldSide  = 32
	manifoldTile  = 32
	manifoldLarge = 64
	manifoldRows  = 1024
)

func (o *ops) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	kernels.CheckManifoldLoss(dst, aa, ae, ee)
	o.tally.LossMACs += kernels.ManifoldMACs(aa)
	if aa.Len() == 0 {
		return
	}
	mark := o.Mark()
	side := ceil(aa.Rows, manifoldSide)
	partial := o.doubles(side * side)
	o.launch("optin_manifold_loss_f64", size{x: side, y: side}, size{x: 32, y: 8}, address(partial), address(aa), address(ae), address(ee),
		number(aa.Rows))
	o.addSums(dst, partial, 1, side*side)
	o.Release(mark)
}

func (o *ops) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	stack := kernels.CheckManifoldLossBackward(d, aa, ae, ee)
	n := aa.Rows
	daa, dae, dee = o.floats(stack*n, n), o.floats(stack*n, n), o.floats(stack*n, n)
	side := ceil(n, manifoldSide)
	o.launch("optin_manifold_loss_backward_f32", size{x: side, y: side}, size{x: 32, y: 8}, address(daa), address(dae), address(dee),
		address(d), address(aa), address(ae), address(ee), number(stack), number(n))
	return daa, dae, dee
}

func (o *ops) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	kernels.CheckManifoldLossRows(dst, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsMACs(a)
	if a.Len() == 0 {
		return
	}
	mark := o.Mark()
	name, side := "optin_manifold_rows_f64", ceil(a.Rows, manifoldTile)
	if a.Rows > manifoldRows {
		name, side = "optin_manifold_rows_large_f64", ceil(a.Rows, manifoldLarge)
	}
	partial := o.doubles(side * side)
	o.launch(name, size{x: side, y: side}, size{x: 256}, address(partial), address(a), address(e), number(a.Rows), number(a.Cols))
	o.addSums(dst, partial, 1, side*side)
	o.Release(mark)
}

// ManifoldLossRowsBackward makes the symmetric matrix 4 M and its products with e and a.
func (o *ops) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	stack := kernels.CheckManifoldLossRowsBackward(d, a, e)
	o.tally.LossMACs += kernels.ManifoldRowsBackwardMACs(a)
	da, de = o.floats(stack*a.Rows, a.Cols), o.floats(stack*a.Rows, a.Cols)
	if a.Len() == 0 {
		return da, de
	}
	mark := o.Mark()
	m, me, ma := o.floats(a.Rows, a.Rows), o.floats(a.Rows, a.Cols), o.floats(a.Rows, a.Cols)
	side := ceil(a.Rows, manifoldTile)
	o.launch("optin_manifold_rows_matrix_f32", size{x: side, y: side}, size{x: 256}, address(m), address(a), address(e),
		number(a.Rows), number(a.Cols))
	o.product(me, m, e, false, false)
	o.product(ma, m, a, false, false)
	o.launch("optin_manifold_rows_scale_f32", size{x: ceil(a.Len(), 256)}, size{x: 256}, address(da), address(de), address(d),
		address(me), address(ma), number(stack), long(a.Len()))
	o.Release(mark)
	return da, de
}
