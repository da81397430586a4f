//go:build cuda

package cuda

import (
	"errors"
	"unsafe"

	"gorgonia.org/cu"
)

const (
	stagingBlocks = 4
	stagingBytes  = 1 << 20 // of a block
)

// staging is pinned host memory through which a worker's values go to its device and come
// back. Uploads go round through its blocks, so that the worker waits only where the device
// is that far behind.
type staging struct {
	stream cu.Stream
	blocks [stagingBlocks]stagingBlock
	at     int // the block that uploads fill
	used   int // bytes of it
	down   unsafe.Pointer
}

type stagingBlock struct {
	host    unsafe.Pointer
	copied  cu.Event // after the last copy from host
	pending bool     // copied was recorded
}

func newStaging(stream cu.Stream) (*staging, error) {
	s := &staging{stream: stream}
	var err error
	if s.down, err = allocPinned(stagingBytes); err != nil {
		return nil, err
	}
	for i := range s.blocks {
		b := &s.blocks[i]
		if b.host, err = allocPinned(stagingBytes); err != nil {
			return nil, errors.Join(err, s.free())
		}
		if b.copied, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return nil, errors.Join(failure("cuEventCreate", err), s.free())
		}
	}
	return s, nil
}

// upload copies n bytes of Go's memory at src, which it does not keep, to dst.
func (s *staging) upload(dst uintptr, src unsafe.Pointer, n int) {
	for done := 0; done < n; {
		if s.used == stagingBytes {
			s.next()
		}
		part := min(n-done, stagingBytes-s.used)
		host := unsafe.Add(s.blocks[s.at].host, s.used)
		copy(unsafe.Slice((*byte)(host), part), unsafe.Slice((*byte)(unsafe.Add(src, done)), part))
		must("cuMemcpyHtoDAsync", cu.MemcpyHtoDAsync(cu.DevicePtr(dst+uintptr(done)), host, int64(part), s.stream))
		s.used += part
		done += part
	}
}

// next goes on to the block that was filled longest ago.
func (s *staging) next() {
	full := &s.blocks[s.at]
	must("cuEventRecord", full.copied.Record(s.stream))
	full.pending = true
	s.at, s.used = (s.at+1)%stagingBlocks, 0
	if free := &s.blocks[s.at]; free.pending {
		must("cuEventSynchronize", free.copied.Synchronize())
		free.pending = false
	}
}

// download waits for the stream and calls f with what lies at the n bytes from src on, in
// pieces that are whole multiples of 8 bytes but for the last.
func (s *staging) download(src uintptr, n int, f func(piece unsafe.Pointer, bytes int)) {
	for done := 0; done < n; {
		part := min(n-done, stagingBytes)
		must("cuMemcpyDtoHAsync", cu.MemcpyDtoHAsync(s.down, cu.DevicePtr(src+uintptr(done)), int64(part), s.stream))
		must("cuStreamSynchronize", s.stream.Synchronize())
		f(s.down, part)
		done += part
	}
}

func (s *staging) free() error {
	var err error
	for i := range s.blocks {
		if b := &s.blocks[i]; b.host != nil {
			err = errors.Join(err, freePinned(b.host))
			if b.copied != (cu.Event{}) {
				err = errors.Join(err, failure("cuEventDestroy", cu.DestroyEvent(&b.copied)))
			}
		}
	}
	return errors.Join(err, freePinned(s.down))
}
