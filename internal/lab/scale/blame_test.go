package scale

import (
	"errors"
	"strings"
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
)

func exit(n int) *int { return &n }

// What ranks left behind, and who is to blame. The texts are PyTorch's, of 2.11 and 2.15.
func TestBlame(t *testing.T) {
	reset := "[../third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:39102"
	late := "[../third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 8000ms for recv operation to complete"
	stack := "Current thread 0x00007f1e (most recent call first):\n  File \"/usr/lib/python3/queue.py\", line 171 in get\n  File \"scale.py\", line 9 in main\n"
	for _, x := range []struct {
		name     string
		failures []failure
		code     fault.Code
		want     string
	}{
		{"a rank is killed, and its peer sees that first", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + reset},
			{Rank: 1, Exit: exit(-9)},
		}, fault.Crashed, "rank 1 was ended by signal 9 (killed) during tp"},
		{"a rank raises an exception", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + reset},
			{Rank: 1, Exit: exit(1), Message: "ValueError: told to fail\nmore"},
		}, fault.Crashed, "rank 1 failed during tp: ValueError: told to fail"},
		{"a rank calls exit", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + reset},
			{Rank: 1, Exit: exit(7), Stderr: "Traceback\nlast words\n"},
		}, fault.Crashed, "rank 1 failed during tp: exit code 7: last words"},
		{"a rank has too little memory", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + late},
			{Rank: 2, Exit: exit(1), Message: "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB."},
			{Rank: 1, Exit: exit(1), Message: "DistBackendError: NCCL error, remote process exited"},
		}, fault.OutOfMemory, "rank 2 ran out of memory during tp: torch.OutOfMemoryError"},
		{"a rank hangs", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + late},
			{Rank: 1, Stderr: "Fatal Python error: Terminated\n\nThread 0x1 (most recent call first):\n  File \"watch.py\", line 1 in watch\n\n" + stack},
		}, fault.Timeout, "rank 1 did not answer during tp; it was in File \"/usr/lib/python3/queue.py\", line 171 in get"},
		{"a rank hangs, and torchrun has to kill it", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + late},
			{Rank: 1, Exit: exit(-9), Stderr: stack},
		}, fault.Timeout, "rank 1 did not answer during tp; it was in File \"/usr/lib/python3/queue.py\", line 171 in get"},
		{"only consequences are left", []failure{
			{Rank: 0, Exit: exit(1), Message: "RuntimeError: " + reset},
			{Rank: 1, Exit: exit(1), Message: "RuntimeError: " + late},
		}, fault.Lost, "the ranks lost each other during tp: rank 0 says RuntimeError"},
		{"a rank that NCCL's watchdog ended", []failure{
			{Rank: 0, Exit: exit(-6), Stderr: "[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7) ran for 60000 milliseconds"},
			{Rank: 1, Stderr: stack},
		}, fault.Timeout, "rank 1 did not answer"},
		{"nothing is left", nil, fault.Crashed, "the ranks ended during tp and left no reason"},
	} {
		err := blame(x.failures, "tp")
		if !errors.Is(err, x.code) || !strings.HasPrefix(err.Message, x.want) {
			t.Errorf("%s: %s: %v, want %s: %s", x.name, err.Code, err, x.code, x.want)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := quote(`it's "a" $b`); got != `'it'\''s "a" $b'` {
		t.Error(got)
	}
}
