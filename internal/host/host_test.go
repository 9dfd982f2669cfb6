package host

import (
	"context"
	"runtime"
	"testing"
)

func TestDescribe(t *testing.T) {
	m := Describe(context.Background())
	if m.CPU == "" || m.Cores < 1 || m.OS != runtime.GOOS || m.Arch != runtime.GOARCH {
		t.Errorf("Describe = %+v: name, cores, system or architecture missing", m)
	}
	if again := Describe(context.Background()); m.ID != again.ID || m.ID != "" && len(m.ID) != 16 {
		t.Errorf("its id is %q, then %q", m.ID, again.ID)
	}
	free := Free()
	if m.Memory == nil || free <= 0 || uint64(free) > *m.Memory {
		t.Errorf("free memory is %d of %v", free, m.Memory)
	}
}
