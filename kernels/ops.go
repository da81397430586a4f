package kernels

// Activation is a function applied to each element. A GELU of -Inf is NaN, as its formula
// says.
type Activation uint8

const (
	Identity  Activation = iota
	GELU                 // x/2 (1 + erf(x/sqrt 2))
	GELUTanh             // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
	GELUQuick            // x/(1 + exp(-1.702 x))
	ReLU                 // max(x, 0), NaN stays NaN
	Tanh
)

func (a Activation) String() string {
	return [...]string{"identity", "gelu", "gelu-tanh", "gelu-quick", "relu", "tanh"}[a]
}

// Epilogue is what a Linear does to its product before it is stored:
//
//	y = mask . act(x W' + bias) + residual
//
// Every field may be left out.
type Epilogue struct {
	Bias     *Weight // [1, out]
	Act      Activation
	Mask     *Tensor // [V, units], units divides out: see MaskUnits
	Residual *Tensor // the shape of y
}

// AttentionSpec says what Attention does beside q, k and v.
type AttentionSpec struct {
	Heads int
	Scale float64 // of q.k before the softmax: 1/sqrt(head size)
	Q, K  *Sequences

	HeadMask *Tensor // [V, Heads], multiplies each head's context; nil: all ones
	Bias     *Tensor // [Heads*Q.Max, K.Max], added to the scaled scores; nil: none
	KeyBias  *Tensor // [V*K rows, 1] or [K rows, 1], added to a key's column: -Inf hides it (padding), log(size) for merged tokens; nil: none
	Causal   bool    // query i of a sequence sees keys 0..i
}

// PatchSpec describes images stored as rows of Channels*Height*Width values.
// Height and Width are multiples of Patch.
type PatchSpec struct{ Channels, Height, Width, Patch int }

// Patches is the number of patches of an image.
func (p PatchSpec) Patches() int { return (p.Height / p.Patch) * (p.Width / p.Patch) }

// Mark is a point in the life of an Ops' arena.
type Mark int

// Memory is how tensors come and go. New, Upload and every op take tensors from
// the arena of their Ops; they live until the Release of a mark set before.
type Memory interface {
	// New makes a tensor whose values are undefined (F64: zero).
	New(t DType, rows, cols int) *Tensor
	Upload(rows, cols int, values []float32) *Tensor
	UploadInts(values []int32) *Tensor // [len(values), 1]
	// Download copies the elements of t, of any type, to dst.
	Download(t *Tensor, dst []float64)
	// Copy writes src over dst, which has the same shape and type and may be of
	// another worker or of Device.Alloc.
	Copy(dst, src *Tensor)

	Mark() Mark
	// Release frees every tensor taken since m, but for those in keep (nil and
	// older ones are ignored).
	Release(m Mark, keep ...*Tensor)
}

// Ops are the operations a model is written in. One Ops belongs to one worker
// and is not safe for concurrent use. Results are new tensors, unless said
// otherwise; arguments are not changed. Formulas are per row r and column c;
// sums are over what the interpreter stores (float64 in ref).
type Ops interface {
	Memory

	// Linear is x W' with an epilogue: [rows, in] and [out, in] to [rows, out].
	// in may be 0, which leaves bias and residual.
	Linear(x *Tensor, w *Weight, e Epilogue) *Tensor
	// LayerNorm is gamma (s - mean s)/sqrt(var s + eps) + beta per row, for
	// s = x + residual (nil: none) and the biased variance.
	LayerNorm(x, residual *Tensor, gamma, beta *Weight, eps float64) *Tensor
	// Attention is softmax(Scale q k' + biases) v per head and sequence, times
	// the head's mask: q [V*Q rows, Heads*d], k and v [V*K rows, Heads*d] to
	// the shape of q. A query all of whose keys are hidden gives 0.
	Attention(q, k, v *Tensor, spec AttentionSpec) *Tensor
	// Activate applies act to each element.
	Activate(x *Tensor, act Activation) *Tensor
	// Add is x + y; y may have fewer rows, which then repeat: row r takes row
	// r mod y.Rows.
	Add(x, y *Tensor) *Tensor
	// MaskUnits multiplies x [V*N, units*g] by mask [V, units], each unit being
	// g neighbouring columns.
	MaskUnits(x, mask *Tensor) *Tensor
	// Softmax is over the columns of each row.
	Softmax(x *Tensor) *Tensor
	// Embed looks up rows of table by ids [rows, 1] and adds add (nil: none).
	Embed(ids *Tensor, table *Weight, add *Tensor) *Tensor
	// Patchify cuts images [B, C*H*W] into non-overlapping squares:
	// [B*patches, C*P*P], patches row by row, channel slowest within a patch,
	// so that a convolution of stride P is a Linear.
	Patchify(images *Tensor, spec PatchSpec) *Tensor
	// Unpack is a weight as a tensor, [out, in] or transposed [in, out].
	Unpack(w *Weight, transpose bool) *Tensor
	// Gather is rows idx [n, 1] of x. With V variants of x (rows = V*span),
	// the same idx applies to each: n*V rows. span is the rows of one variant.
	Gather(x, idx *Tensor, span int) *Tensor
	// ScatterMean averages into row i all rows r of x with idx[r] = i; a row
	// that nothing falls into is 0. The result has the given number of rows.
	ScatterMean(x, idx *Tensor, rows int) *Tensor
	// TopK is, for each sequence of scores [V*from rows, 1], the rows of its
	// to.Len(b) largest, in descending order, equal ones in the order of rows,
	// NaN last: [V*to rows, 1], for a Gather whose span is all V*from rows. Of T
	// scores, it takes T log T comparisons or, on a GPU, T^2.
	TopK(scores *Tensor, from, to *Sequences) *Tensor
	// Match is bipartite soft matching (Bolya et al., Token Merging: Your ViT But
	// Faster, ICLR 2023, section 3.1): in each sequence of x [V*from rows, C] every
	// token at an even place is matched with that one at an odd place whose row of
	// x has the largest product with its own (for the cosine, x is of NormalizeRows),
	// and the from.Len(b) - to.Len(b) pairs of the largest products become one token
	// each. The first keep tokens of a sequence stay themselves: 1 is the class token,
	// 2 that and the distillation token. The result [V*from rows, 1] says into which of
	// V*to rows each token goes, for ScatterMean; Gather by it undoes the merge. Tokens
	// that stay keep their order. Of equal products the first counts; NaN and -Inf are
	// less than any number. Where products differ by rounding only, devices may choose
	// differently. About T^2 C/4 MACs for T tokens, as much as a Linear of T/4 outputs.
	Match(x *Tensor, from, to *Sequences, keep int) *Tensor
	// Concat stacks the rows of x and y.
	Concat(x, y *Tensor) *Tensor
	// Repeat stacks x the given number of times.
	Repeat(x *Tensor, variants int) *Tensor

	// RemoveUnits takes from each variant the contribution of one unit, named by
	// units [V, 1] (-1: none), to sum [V*N, D]: with values [V*N, units*width]
	// and consumer [units*width, D] (see Unpack), for unit u of variant v,
	//
	//	y[v] = sum[v] - values[v][:, u width:(u+1) width] consumer[u width:(u+1) width, :]
	//
	// Exactly sum where the values are 0.
	RemoveUnits(sum, values, consumer, units *Tensor, width int) *Tensor

	// NormalizeRows divides each row by its Euclidean length (a zero row stays
	// zero): Phi of the manifold distillation loss.
	NormalizeRows(x *Tensor) *Tensor
	// NormalizedDifference is NormalizeRows(x) - phi, exactly 0 where x is what
	// phi was made of.
	NormalizedDifference(x, phi *Tensor) *Tensor
	// GramAdd adds a' b to gram: a [n, D], b [n, E], gram [D, E].
	GramAdd(gram, a, b *Tensor)
	// ManifoldLoss adds to the F64 scalar dst
	//
	//	2 tr(aa ee) + 2 tr(ae ae) + 4 tr(ae ee) + |ee|_F^2
	//
	// for the D x D matrices aa = A'A, ae = A'E, ee = E'E, which is
	// |A A' - (A+E)(A+E)'|_F^2 (METHOD section 2; Hao et al., manifold
	// distillation, ECCV 2022).
	ManifoldLoss(dst, aa, ae, ee *Tensor)
	// ManifoldLossRows is the same from a and e [n, D] by their n x n products,
	// cheaper where n < D.
	ManifoldLossRows(dst, a, e *Tensor)
	// KLDivergence adds to dst [V, 1], F64, the sum over a variant's rows of
	// KL(softmax(base/tau) || softmax(x/tau)); base [n, classes] repeats.
	KLDivergence(dst, x, base *Tensor, tau float64)
	// SquaredError adds to dst [V, 1] the sum of (x - base)^2; base repeats.
	SquaredError(dst, x, base *Tensor)

	// Tally is what has run on this Ops so far.
	Tally() Tally
}

// Tally counts the multiply-accumulates (1 MAC = 2 FLOPs) that ran: m*n*k of
// every product of Linear, Attention and Match on real rows in MACs, what a kernel
// computed beyond them (rounding up to tiles) in PaddedMACs. The scoring
// ops' own products (RemoveUnits, GramAdd, losses) are in LossMACs. Element-wise
// work is not counted, as in the papers.
type Tally struct{ MACs, PaddedMACs, LossMACs int64 }

// Sub is t - u.
func (t Tally) Sub(u Tally) Tally {
	return Tally{t.MACs - u.MACs, t.PaddedMACs - u.PaddedMACs, t.LossMACs - u.LossMACs}
}

// Add is t + u.
func (t Tally) Add(u Tally) Tally {
	return Tally{t.MACs + u.MACs, t.PaddedMACs + u.PaddedMACs, t.LossMACs + u.LossMACs}
}
