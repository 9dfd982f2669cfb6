package framework_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"golang.org/x/sys/unix"

	"github.com/gpuplay/gpuplay/internal/llm/framework"
	"github.com/gpuplay/gpuplay/internal/llm/framework/frameworktest"
	"github.com/gpuplay/gpuplay/internal/train"
)

// A disk that is full while the adapter is saved leaves the one before whole. What
// keeps the worker from writing here is the largest size of a file that it may write,
// which is set after its first save.
func TestSaveOnFullDisk(t *testing.T) {
	each(t, func(t *testing.T, r *framework.Runtime, folder string) {
		m := open(t, r, folder, "")
		s := settings(t)
		s.SaveEvery = 1
		if _, err := m.Tune(frameworktest.Limit(t), s); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Train(frameworktest.Limit(t), 1, time.Minute, func(train.Step) {}); err != nil {
			t.Fatal(err)
		}
		before := contents(t, s.Adapter)
		self, err := process.NewProcess(int32(os.Getpid()))
		if err != nil {
			t.Fatal(err)
		}
		children, err := self.Children()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range children {
			if err := unix.Prlimit(int(c.Pid), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 2000, Max: 2000}, nil); err != nil {
				t.Skip("prlimit:", err)
			}
		}
		_, _, err = m.Train(frameworktest.Limit(t), 2, time.Minute, func(train.Step) {})
		if err == nil || !strings.Contains(err.Error(), "the adapter of iteration 2 cannot be saved in "+s.Adapter) || !strings.Contains(err.Error(), "the adapter of iteration 1 is kept in ") {
			t.Fatalf("error %v", err)
		}
		t.Log(err)
		after := contents(t, s.Adapter)
		if len(after) != len(before) {
			t.Errorf("the folder holds %d files, %d before", len(after), len(before))
		}
		for name, text := range before {
			if !bytes.Equal(after[name], text) {
				t.Errorf("%s has changed", name)
			}
		}
	})
}

// contents returns the files in a folder.
func contents(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range names(t, folder) {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	return all
}
