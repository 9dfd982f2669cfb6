package gemm

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// tally is work that counts how often each share was done, and by whom.
type tally struct {
	t     *testing.T
	sizes []int // shares of each phase
	done  [][]atomic.Int32
	by    [][]int
	open  atomic.Int32 // phase that shares should belong to
	left  atomic.Int32
	each  func(phase, share int) // called by every share; nil for nothing
}

func newTally(t *testing.T, sizes ...int) *tally {
	w := &tally{t: t, sizes: sizes}
	for _, n := range sizes {
		w.done, w.by = append(w.done, make([]atomic.Int32, n)), append(w.by, make([]int, n))
	}
	w.left.Store(int32(sizes[0]))
	return w
}

func (w *tally) phases() int          { return len(w.sizes) }
func (w *tally) shares(phase int) int { return w.sizes[phase] }

func (w *tally) do(thread, phase, share int) {
	if open := int(w.open.Load()); phase != open {
		w.t.Errorf("a share of phase %d in phase %d", phase, open)
	}
	if w.each != nil {
		w.each(phase, share)
	}
	w.done[phase][share].Add(1)
	w.by[phase][share] = thread
	if w.left.Add(-1) == 0 && phase+1 < len(w.sizes) {
		w.left.Store(int32(w.sizes[phase+1]))
		w.open.Add(1)
	}
}

// check reports shares that were not done exactly once.
func (w *tally) check() {
	w.t.Helper()
	for phase := range w.done {
		for share := range w.done[phase] {
			if n := w.done[phase][share].Load(); n != 1 {
				w.t.Fatalf("share %d of phase %d was done %d times", share, phase, n)
			}
		}
	}
}

func newTeam(threads int) *team {
	return &team{ended: make(chan struct{}, 1), own: make([]queue, threads)}
}

// TestTeamOfOne has one thread of four do everything: the others get no CPU.
func TestTeamOfOne(t *testing.T) {
	for thread := range 6 { // 4 and 5 have no shares of their own
		team, w := newTeam(6), newTally(t, 1, 9, 4, 3)
		team.begin(t.Context(), 4, w)
		team.join(thread)
		<-team.ended
		w.check()
	}
}

// TestTeamOwnShares checks that a thread finds its own shares in every phase, if all
// threads are there.
func TestTeamOwnShares(t *testing.T) {
	const threads = 3
	team, w := newTeam(threads), newTally(t, 3, 3, 3)
	var there [3]sync.WaitGroup
	for i := range there {
		there[i].Add(threads)
	}
	w.each = func(phase, _ int) {
		there[phase].Done()
		there[phase].Wait() // nobody has two shares
	}
	team.begin(t.Context(), threads, w)
	var all sync.WaitGroup
	for thread := range threads {
		all.Go(func() { team.join(thread) })
	}
	all.Wait()
	w.check()
	for phase := range w.by {
		for share, thread := range w.by[phase] {
			if thread != share {
				t.Errorf("phase %d: share %d was done by thread %d", phase, share, thread)
			}
		}
	}
}

// TestTeamLate has a thread wake up that believes to be in a round long past, while
// other work is under way.
func TestTeamLate(t *testing.T) {
	team, first, second := newTeam(2), newTally(t, 4), newTally(t, 4, 4)
	team.begin(t.Context(), 2, first)
	round := team.state.Load() >> (shareBits + threadBits)
	team.join(0)
	<-team.ended
	if first.check(); team.state.Load()&maxShares != 0 {
		t.Error("shares are left between works")
	}
	team.join(1) // finds nothing
	team.doAll(1, 0, round, 2, 4)
	team.begin(t.Context(), 2, second)
	team.doAll(1, 0, round, 2, 4)
	team.doAll(1, 1, round, 2, 4)
	for i := range second.done[0] {
		if second.done[0][i].Load() != 0 {
			t.Fatalf("a late thread took share %d", i)
		}
	}
	team.join(0)
	<-team.ended
	second.check()
}

// TestTeamWraps lets the counter of rounds overflow.
func TestTeamWraps(t *testing.T) {
	team := newTeam(2)
	team.state.Store((1<<roundBits - 3) << (shareBits + threadBits))
	for range 4 {
		w := newTally(t, 3, 2)
		team.begin(t.Context(), 2, w)
		team.join(1)
		<-team.ended
		w.check()
	}
}

// TestTeamEndsEarly ends the context in the middle of the second phase.
func TestTeamEndsEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	team, w := newTeam(1), newTally(t, 2, 2, 2)
	w.each = func(phase, share int) {
		if phase == 1 {
			cancel()
		}
	}
	team.begin(ctx, 1, w)
	team.join(0)
	<-team.ended
	for phase, want := range []int32{1, 1, 0} {
		for share := range w.done[phase] {
			if n := w.done[phase][share].Load(); n != want {
				t.Errorf("share %d of phase %d was done %d times, not %d", share, phase, n, want)
			}
		}
	}
}

// TestTeamStress has more threads than CPUs come and go at any time, work after work, as
// a pool's do.
func TestTeamStress(t *testing.T) {
	threads := 2*runtime.NumCPU() + 3
	team := newTeam(threads)
	wake := make([]chan struct{}, threads)
	var all sync.WaitGroup
	for thread := range threads {
		wake[thread] = make(chan struct{}, 1)
		all.Go(func() {
			for range wake[thread] {
				team.join(thread)
			}
		})
	}
	for i := range 300 {
		some := i%threads + 1
		w := newTally(t, 1+i%5, 1+i*7%50, 1+i*3%17)
		team.begin(t.Context(), some, w)
		for _, c := range wake[:some] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
		<-team.ended
		w.check()
	}
	for _, c := range wake {
		close(c)
	}
	all.Wait()
}

// TestUseful checks how many threads products get: small ones few, since waiting for
// each other would take longer than the work.
func TestUseful(t *testing.T) {
	d := &driver{kernel: &kernel{group: 1}, own: make([]scratch, 64), worth: worthThreads}
	for _, tt := range []struct{ size, threads int }{
		{16, 1}, {48, 1}, {51, 2}, {64, 2}, {96, 5}, {128, 8}, {256, 22}, {512, 64}, {8192, 64},
	} {
		d.product = product{m: tt.size, n: tt.size, depth: tt.size}
		if got := d.useful(); got != tt.threads {
			t.Errorf("%d³ uses %d threads, not %d", tt.size, got, tt.threads)
		}
	}
	d.own = d.own[:2]
	if d.product = (product{m: 512, n: 512, depth: 512}); d.useful() != 2 {
		t.Errorf("%d threads of 2", d.useful())
	}
}
