package worker

import (
	"fmt"
	"strings"
	"testing"
)

// The reason of a crash is the line that says why, not the last frame of a stack. The
// lines are of TensorFlow, XLA, PyTorch, Metal, glibc, MKL and CPython.
func TestReason(t *testing.T) {
	for _, tt := range []struct{ log, want string }{
		{"loading\nTraceback (most recent call last):\n  File \"x.py\", line 1\nOSError: no such file\n", "OSError: no such file"},
		{"F0000 00:00:1700000000.1 tensor_shape.cc:404] Check failed: 0 <= new_num_elements (0 vs. -1)\n*** Check failure stack trace: ***\n    @     0x7f12  (unknown)\n    @     0x7f13  PyEval\n", "F0000 00:00:1700000000.1 tensor_shape.cc:404] Check failed: 0 <= new_num_elements (0 vs. -1)"},
		{"python: ../sysdeps/x.c:12: f: Assertion `x > 0' failed.\nFatal Python error: Aborted\n\nCurrent thread 0x1:\n  File \"y.py\", line 3 in g\n", "python: ../sysdeps/x.c:12: f: Assertion `x > 0' failed."},
		{"terminate called after throwing an instance of 'c10::Error'\n  what():  CUDA error: an illegal memory access\nException raised from x (most recent call first):\nframe #0: c10::Error\nframe #1: clone\n", "what():  CUDA error: an illegal memory access"},
		{"terminate called without an active exception\nframe #7: main\n", "terminate called without an active exception"},
		{"-[MTLDebugDevice x]:123: failed assertion `Buffer is too large'\n0 libsystem 0x1\n", "-[MTLDebugDevice x]:123: failed assertion `Buffer is too large'"},
		{"Intel oneMKL FATAL ERROR: Cannot load libmkl_avx512.so.2.\nbye\n", "Intel oneMKL FATAL ERROR: Cannot load libmkl_avx512.so.2."},
		{"/a/ggml.c:99: GGML_ASSERT(n > 0) failed\n[New LWP 7]\n#0 0x1 in wait4\n", "/a/ggml.c:99: GGML_ASSERT(n > 0) failed"},
		{"panic: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n", "panic: index out of range"},
		{"Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n  File \"threading.py\", line 331 in wait\n", "Fatal Python error: Segmentation fault"},
		{"the check failed to start\nall is lost\n", "all is lost"},
	} {
		var j journal
		fmt.Fprint(&j, strings.Repeat("earlier\n", 3), tt.log)
		if got := j.words(); got != tt.want {
			t.Errorf("of %q it quotes %q", tt.log, got)
		}
		j.turn()
		fmt.Fprintln(&j, "ended")
		if got := j.words(); got != "ended" {
			t.Errorf("a crash of an earlier request is quoted: %q", got)
		}
	}
}
