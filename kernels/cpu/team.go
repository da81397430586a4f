//go:build cgo

package cpu

// #include "onednn.h"
import "C"

// teamSize is how many threads a parallel region of the calling thread gets.
func teamSize() int { return int(C.optin_cpu_team_size()) }
