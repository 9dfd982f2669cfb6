package cuda

import (
	"errors"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Between two GPUs copies are timed and compared in both directions, directly where the driver
// allows it; a copy that does not arrive is no figure. No memory is kept, nor any access.
func TestPeers(t *testing.T) {
	for _, f := range []standInFault{twoGPUs, noPeerAccess, losesPeerCopies} {
		e := on(standInOf(t, f, 13000, 64<<20), Options{})
		found, err := e.Devices(t.Context())
		if err != nil || len(found.Devices) != 2 {
			t.Fatal(found, err)
		}
		inUse, peers, direct := count(t, "in_use"), count(t, "peer_copies"), count(t, "direct_copies")
		for i, d := range found.Devices {
			all, straight := peers(), direct()
			got, err := e.Describe(t.Context(), d)
			if f == losesPeerCopies {
				if !errors.Is(err, fault.Wrong) || len(got.Copies) != 5 {
					t.Errorf("%v, %+v", err, got.Copies)
				}
				continue
			}
			if err != nil || len(got.Copies) != 6 {
				t.Fatal(err, got.Copies)
			}
			c := got.Copies[5]
			if c.Route != hardware.ToPeer || c.Peer != found.Devices[1-i].ID || c.Direct != (f == twoGPUs) || len(c.Seconds) < 5 || c.Bytes < 1<<20 {
				t.Errorf("%+v", c)
			}
			all, straight = peers()-all, direct()-straight
			if all < 5 || f == twoGPUs && straight != all || f == noPeerAccess && straight != 0 {
				t.Errorf("%d copies, %d of them direct", all, straight)
			}
		}
		if inUse() != 0 {
			t.Errorf("%d bytes were kept", inUse())
		}
	}
}
