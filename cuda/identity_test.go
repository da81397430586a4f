//go:build cuda

package cuda

import (
	"strings"
	"testing"
)

// TestUUIDs names each device once, however many workers it has.
func TestUUIDs(t *testing.T) {
	d := open(t, 2, false)
	defer d.Close()
	uuids, err := d.UUIDs()
	if err != nil || len(uuids) != 1 || !strings.HasPrefix(uuids[0], "GPU-") {
		t.Errorf("UUIDs %q, error %v", uuids, err)
	}
}
