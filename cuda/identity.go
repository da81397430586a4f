//go:build cuda

package cuda

import "gorgonia.org/cu"

// Libraries are the versions of what d computes with.
func (d *device) Libraries() map[string]string {
	list := map[string]string{"CUDA (of the driver)": versionText(cu.Version()), "cuBLAS": d.workers[0].blas.version()}
	if found, err := Discover(); err == nil && found.Driver != "" {
		list["NVIDIA driver"] = found.Driver
	}
	return list
}

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
