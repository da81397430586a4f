// Package disk writes files that appear whole or not at all, and says what to
// do where they cannot be written.
//
// It imports nothing of this project, and any package may import it.
package disk
