// Package kerneltest is the conformance suite of [optin/kernels.Device]: what
// passes it may run any model. Tests call [Run]; a program that wants to know
// whether a device computes rightly on this machine calls [Check].
//
// A [Program] is a call of one op on seeded float32 inputs. Each one runs on the
// device and on the float64 reference, and must agree with it within the
// tolerance of its op (see coefficient), give the same bits when it runs again,
// agree when the wide worker runs it, count the same multiply-accumulates,
// leave its arguments as they were and the device's guard values intact.
// Programs cover ordinary, odd, masked, overflow-prone, empty and one-element
// shapes, some that are more than registers and tiles hold, real ones by samples,
// infinite values before activations, and NaN inputs, whose NaN must come out
// exactly where the formula says.
//
// The derivatives of [optin/kernels.Backward] have programs like other ops, which
// run on devices that implement it: at stacks of one to three gradients, and, for
// what testdata/gradients.json holds, against torch's autograd instead of the
// reference. That the reference's derivatives are those of its ops is proved by
// central differences in its own tests.
//
// A property is what must hold exactly or between ops: dead units and empty
// masks change nothing, fused ops equal unfused ones, arenas keep and reuse,
// results do not depend on the number of workers, live weights are read where
// they live, misuse panics.
//
// A device may offer two more methods, which the suite then calls:
//
//	CheckGuards() error // what has been written outside of tensors
//	ArenaBytes() int64  // memory of all arenas, whether in use or not
package kerneltest
