//go:build cuda

package cuda

// UUIDs name the devices that d computes on, as [NewSampler] takes them.
func (d *device) UUIDs() ([]string, error) {
	var out []string
	for _, g := range d.gpus {
		uuid, err := g.UUID()
		if err != nil {
			return nil, failure("cuDeviceGetUuid", err)
		}
		out = append(out, uuid)
	}
	return out, nil
}
