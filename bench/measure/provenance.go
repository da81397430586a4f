package measure

import (
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Provenance says what produced a result, so that it can be produced again.
type Provenance struct {
	Version    string            `json:"version"`
	Revision   string            `json:"revision"`            // of the source; "unknown" if the build did not say
	Dirty      bool              `json:"dirty"`               // the source had changes that no revision holds
	Go         string            `json:"go"`                  // version of the compiler
	Libraries  map[string]string `json:"libraries"`           // versions, such as "oneDNN": "2.6.3"
	Device     string            `json:"device"`              // that did the arithmetic
	Precision  string            `json:"precision,omitempty"` // in which models were evaluated and timed; empty: the device's own
	Threads    int               `json:"threads"`             // workers
	ConfigHash string            `json:"config_hash"`
	Seeds      map[string]uint64 `json:"seeds"` // one for each random choice
	Time       time.Time         `json:"time"`  // when it began
	Machine    Machine           `json:"machine"`
}

// NewProvenance fills in what is known of the program and the machine; the caller adds the
// rest. version and revision are those stamped into the program, "" if none were; a
// revision that ends in "-dirty" is split. Without a stamp, what the Go tool recorded is
// taken.
func NewProvenance(version, revision string, now time.Time) Provenance {
	p := Provenance{
		Version: version, Go: runtime.Version(), Time: now.UTC(), Machine: DescribeMachine(),
		Libraries: map[string]string{}, Seeds: map[string]uint64{},
	}
	p.Revision, p.Dirty = strings.CutSuffix(revision, "-dirty")
	if info, ok := debug.ReadBuildInfo(); ok && p.Revision == "" {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				p.Revision = s.Value
			case "vcs.modified":
				p.Dirty = s.Value == "true"
			}
		}
	}
	if p.Revision == "" {
		p.Revision = "unknown"
	}
	return p
}
