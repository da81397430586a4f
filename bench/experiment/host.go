package experiment

import (
	"fmt"
	"io"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/bench/progress"
	"optin/kernels"
)

// Host is what runs need from the program around them. Only the program names
// a device; here it is a kernels.Device like any other.
type Host struct {
	Device   kernels.Device
	Fast     kernels.Device     // evaluates and times models, perhaps in a lower precision; nil: Device
	Progress *progress.Progress // nil: silent
	Log      io.Writer          // one line per finished piece of work; nil: none

	// Rows is how many packed rows the device likes a micro-batch to have, where the
	// plan does not say. 0: prune.MicroRows.
	Rows int

	Version, Revision string            // of the program
	Digest            string            // of the program's file: stored stages of another one are not used
	Libraries         map[string]string // versions

	// Exact opens a device that computes in float64, for the proof of a model whose
	// float32 leaves it in doubt. nil: there is none.
	Exact func() (kernels.Device, error)

	// Peak measures what the device reaches on one large product, in FLOP/s.
	// nil: not available.
	Peak func() (float64, error)

	// Telemetry watches what Device computes on while a model is timed. nil: nothing is
	// watched.
	Telemetry measure.Watcher
}

// runner is the device that evaluates and times models. Scores, searches, rebuilds and
// proofs compare tiny differences, and are Device's.
func (h *Host) runner() kernels.Device {
	if h.Fast != nil {
		return h.Fast
	}
	return h.Device
}

// forget frees what the devices keep of a model.
func (h *Host) forget(m model.Model) {
	for _, w := range m.Weights() {
		h.Device.Forget(w)
		if h.Fast != nil {
			h.Fast.Forget(w)
		}
	}
}

// trim frees what the devices keep for later work.
func (h *Host) trim() {
	h.Device.ResetPeak()
	if h.Fast != nil {
		h.Fast.ResetPeak()
	}
}

func (h *Host) logf(format string, args ...any) {
	if h.Log != nil {
		fmt.Fprintf(h.Log, format+"\n", args...)
	}
}
