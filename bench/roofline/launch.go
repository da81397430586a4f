package roofline

// Unit is what an operation runs on.
type Unit uint8

const (
	Plain  Unit = iota // the plain float32 units, whatever the precision
	Double             // sums of losses
	Dense              // float32 units or tensor cores, by the precision asked for
)

// Launch is one run of a kernel: the bytes that it must move, each once, and the operations of
// its products, a multiply-accumulate being two.
type Launch struct {
	Unit       Unit
	Bytes      int64
	Operations int64
	Weights    int64 // of the bytes, those of the weights of dense products
	Fused      int64 // of the bytes, those that stay on the chip where dense products fuse their epilogue
}

// narrow is the launch where weights of dense products are kept in a format of 16 bits.
func (l Launch) narrow() Launch {
	l.Bytes -= l.Weights / 2
	l.Weights /= 2
	return l
}

// floor is the least seconds for so many bytes and operations at the given rates a second,
// which memory or arithmetic limits: the roofline (Williams, Waterman and Patterson, CACM
// 52(4), 2009).
func floor(bytes, operations int64, byteRate, operationRate float64) (seconds float64, arithmetic bool) {
	move, work := float64(bytes)/byteRate, float64(operations)/operationRate
	return max(move, work), work > move
}
