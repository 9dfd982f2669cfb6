package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SharedLibrary builds a library from one C source and the compiler's arguments, such as
// -DFAULT=SKIP, and returns its file, which lasts as long as the test. Without a C
// compiler the test is skipped, or fails if GPUPLAY_REQUIRE names cc.
func SharedLibrary(t testing.TB, source, name string, args ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		Require(t, "cc", "there is no C compiler, cc, to build a library with")
	}
	file := filepath.Join(t.TempDir(), name)
	cmd := exec.Command(cc, append(args, "-O2", "-shared", "-fPIC", "-o", file, source)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return file
}
