// Package grad is reverse-mode differentiation of programs written in
// [optin/kernels.Ops].
//
// A [Tape] is an Ops that runs every op on another one, its base, and notes what
// ran. [Tape.Pull] then goes through the notes backwards and turns gradients of
// some results into gradients of inputs, weights and masks. Model code runs on a
// tape as it runs on any interpreter.
//
// Package grad knows no formula of an interpreter: the derivative of each op is
// the base's ([optin/kernels.Backward]); what happens here is the chain rule,
// which gradients are needed at all, and how long each of them lives.
//
// # What is tracked
//
// Tensors are told apart by their address. One that no op of the tape made is a
// constant, unless a Pull asks for its gradient. That includes views:
// Tensor.Slice makes a tensor with an address of its own, so nothing flows
// through it to the tensor that it is a view of; Gather takes rows so that
// gradients pass. What lies at an address must stay the same tensor until Reset.
//
// Ops that change an argument (GramAdd and the losses, which add to dst, and
// Copy) make a new value with the old address: dst_new = dst_old + f, where dst
// stands for dst_new in what follows. Ops that had read dst_old can no longer be
// differentiated, and Pull says so.
//
// Row indices and other integers are constants, also where TopK or Match chose
// them by what has a gradient: the choice is the same all around almost every point,
// so its derivative is 0. Constants, too, are what Backward has no derivative for:
// the biases of Attention, the consumer of RemoveUnits and the base of KLDivergence.
// Pull panics where a gradient to one of them is needed.
package grad
