package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
)

// content is what the server has: the same bytes in every run.
var content = func() []byte {
	b := make([]byte, 300_000)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}()

// A fault answers instead of a server and returns true, or returns false.
type fault func(w http.ResponseWriter, r *http.Request) (done bool)

// A server has one file.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	fault  fault    // nil for none
	ranges []string // the Range headers that it has seen
}

func (s *server) breaks(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func serve(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		broken := s.fault
		s.mu.Unlock()
		if broken != nil && broken(w, r) {
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(s.Close)
	return s
}

// seen returns the Range headers since it was last called.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.ranges
	s.ranges = nil
	return seen
}

// from is the first byte that a request wants.
func from(r *http.Request) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-"))
	return n
}

// client returns a client that does not wait between attempts.
func client() *Client {
	c := New()
	c.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

// file returns the server's file, to be kept in a folder of the test.
func (s *server) file(t *testing.T) File {
	sum := sha256.Sum256(content)
	path := filepath.Join(t.TempDir(), "file")
	return File{Name: "the file", Address: s.URL, Path: path, Part: path + ".part", Size: int64(len(content)), Hash: SHA256(hex.EncodeToString(sum[:]))}
}

// whole fails the test unless the file is there and nothing else is.
func whole(t *testing.T, f File) {
	t.Helper()
	if got, err := os.ReadFile(f.Path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes of %d, %v", len(got), len(content), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(f.Path)); len(entries) != 1 {
		t.Errorf("%d files are there", len(entries))
	}
}

func TestFile(t *testing.T) {
	for name, size := range map[string]int64{"size known": int64(len(content)), "size not known": -1} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			f := s.file(t)
			f.Size = size
			f.Header = http.Header{"X-Key": {"value"}}
			s.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Key") != "value" || r.Header.Get("Accept-Encoding") != "identity" {
					t.Errorf("the server got %v", r.Header)
				}
				return false
			})
			var last Progress
			if err := client().File(t.Context(), f, func(p Progress) { last = p }); err != nil {
				t.Fatal(err)
			}
			whole(t, f)
			if want := (Progress{Done: int64(len(content)), Total: int64(len(content))}); last != want {
				t.Errorf("the last progress is %+v", last)
			}
			if len(f.Header) != 1 {
				t.Errorf("the caller's header has become %v", f.Header)
			}
		})
	}
}

// A server that sends no length, and one file that has no bytes.
func TestNoLength(t *testing.T) {
	s := serve(t)
	s.breaks(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Write(content[:1000])
		w.(http.Flusher).Flush() // in chunks
		w.Write(content[1000:])
		return true
	})
	f := s.file(t)
	f.Size = -1
	if err := client().File(t.Context(), f, nil); err != nil {
		t.Fatal(err)
	}
	whole(t, f)

	s.seen()
	empty := sha256.Sum256(nil)
	f = s.file(t)
	f.Size, f.Hash.Sum = 0, hex.EncodeToString(empty[:])
	if err := client().File(t.Context(), f, nil); err != nil || len(s.seen()) > 0 {
		t.Errorf("an empty file: %v, or the server was asked", err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Size() != 0 {
		t.Error("an empty file is not there")
	}
}

// A connection that breaks again and again, each time a little later.
func TestResumes(t *testing.T) {
	s := serve(t)
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		at := from(r)
		if at > 250_000 {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)-at))
		if at > 0 {
			w.Header().Set("Content-Range", "bytes "+strconv.Itoa(at)+"-299999/300000")
			w.WriteHeader(http.StatusPartialContent)
		}
		w.Write(content[at : at+40_000])
		panic(http.ErrAbortHandler) // the connection breaks
	})
	for _, size := range []int64{300_000, -1} {
		f := s.file(t)
		f.Size = size
		var waits []string
		err := client().File(t.Context(), f, func(p Progress) {
			if p.Waiting != "" {
				waits = append(waits, p.Waiting)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, f)
		seen := s.seen()
		if len(seen) < 7 || seen[0] != "" || seen[1] != "bytes=40000-" || len(waits) != len(seen)-1 {
			t.Errorf("ranges %q, waits %q", seen, waits)
		}
	}
}

// Cut off in the middle, and called once more. Without a size, what is there could be
// of another file.
func TestContinuesTheNextTime(t *testing.T) {
	for size, want := range map[int64]string{300_000: "bytes=100000-", -1: ""} {
		s := serve(t)
		f := s.file(t)
		f.Size = size
		ctx, cancel := context.WithCancel(t.Context())
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Write(content[:100_000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		})
		err := client().File(ctx, f, func(p Progress) {
			if p.Done == 100_000 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want canceled", err)
		}
		if _, err := os.Stat(f.Path); err == nil {
			t.Error("a part of the file has the file's name")
		}
		s.breaks(nil)
		s.seen()
		if err := client().File(t.Context(), f, nil); err != nil {
			t.Fatal(err)
		}
		whole(t, f)
		if d := cmp.Diff([]string{want}, s.seen()); d != "" {
			t.Errorf("size %d: %s", size, d)
		}
	}
}

func TestServerWithoutRanges(t *testing.T) {
	s := serve(t)
	times := 0
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		times++
		if times == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Write(content[:100_000])
			panic(http.ErrAbortHandler)
		}
		w.Write(content) // all of it, whatever was asked for
		return true
	})
	f := s.file(t)
	if err := client().File(t.Context(), f, nil); err != nil || times != 2 {
		t.Errorf("after %d requests, %v", times, err)
	}
	whole(t, f)
}

// A connection on which nothing comes any more is given up.
func TestStalls(t *testing.T) {
	s := serve(t)
	c := client()
	c.Stall = 50 * time.Millisecond
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") != "" {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	f := s.file(t)
	var waiting string
	if err := c.File(t.Context(), f, func(p Progress) { waiting += p.Waiting }); err != nil || !strings.Contains(waiting, "nothing came for 50ms") {
		t.Errorf("%v after %q", err, waiting)
	}
	whole(t, f)
}

// is reports whether an error is, or wraps, one of that type.
func is[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

// What a server can do to a file, with the error that names it. parts is how many bytes
// are kept for the next time.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fault
		says  string
		is    func(error) bool
		parts int64
		tries int
	}{
		{"other bytes", func(w http.ResponseWriter, r *http.Request) bool {
			w.Write(append(slices.Clone(content[:299_999]), content[299_999]^1))
			return true
		}, "; it was removed", is[*Damaged], -1, 1},
		{"more bytes", func(w http.ResponseWriter, r *http.Request) bool {
			w.Write(append(slices.Clone(content), 0))
			return true
		}, "sends more of the file than its 300000 bytes", is[*WrongAnswer], 262144, 1},
		{"nothing at all, again and again", func(w http.ResponseWriter, r *http.Request) bool {
			panic(http.ErrAbortHandler)
		}, "cannot be reached: EOF", is[*Unreachable], 0, Attempts},
		{"a part, and nothing after it", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				w.Write(content[:1000])
			} else {
				w.Header().Set("Content-Range", "bytes 1000-299999/300000")
				w.WriteHeader(http.StatusPartialContent)
			}
			return true
		}, "the connection ended early, 5 times in a row", func(error) bool { return true }, 1000, Attempts},
		{"out of order", func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, "answers 503 Service Unavailable", is[*Refusal], 0, Attempts},
		{"not there", func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, "answers 404 Not Found", is[*Refusal], 0, 1},
		{"another part", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				w.Write(content[:1000])
				return true
			}
			w.Header().Set("Content-Range", "bytes 0-1/300000")
			w.WriteHeader(http.StatusPartialContent)
			return true
		}, "sends another part of the file than was asked for: bytes 0-1/300000", is[*WrongAnswer], 1000, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t)
			s.breaks(tt.fault)
			f := s.file(t)
			err := client().File(t.Context(), f, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !tt.is(err) {
				t.Fatalf("%v (%T), want %q", err, err, tt.says)
			}
			if n := len(s.seen()); n != tt.tries {
				t.Errorf("%d requests, want %d", n, tt.tries)
			}
			info, err := os.Stat(f.Part)
			if tt.parts < 0 && err == nil || tt.parts == 0 && (err != nil || info.Size() != 0) || tt.parts > 0 && (err != nil || info.Size() < 1000) {
				t.Errorf("%+v is kept, %v; want %d bytes", info, err, tt.parts)
			}
			if _, err := os.Stat(f.Path); err == nil {
				t.Error("the file is there")
			}
			s.breaks(nil)
			if err := client().File(t.Context(), f, nil); err != nil {
				t.Errorf("trying again: %v", err)
			}
			whole(t, f)
		})
	}
}

// A server says how long it wants to be left alone; else each pause is twice as long.
func TestPauses(t *testing.T) {
	for after, want := range map[string]string{"7": "[7s 7s 7s 7s]", "600": "[1m0s 1m0s 1m0s 1m0s]", "": "[1s 2s 4s 8s]"} {
		s := serve(t)
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		c := client()
		var pauses []time.Duration
		c.Pause = func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }
		if err := c.File(t.Context(), s.file(t), nil); !is[*Refusal](err) {
			t.Errorf("error %v", err)
		}
		var got []string
		for _, p := range pauses {
			got = append(got, p.String())
		}
		if d := cmp.Diff(want, "["+strings.Join(got, " ")+"]"); d != "" {
			t.Errorf("Retry-After %q: %s", after, d)
		}
	}
}

func TestDisk(t *testing.T) {
	s := serve(t)
	f := s.file(t)
	f.Part = filepath.Join(t.TempDir(), "nowhere", "part")
	if err := client().File(t.Context(), f, nil); !is[*DiskError](err) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	f = s.file(t)
	if err := os.MkdirAll(filepath.Join(f.Path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := client().File(t.Context(), f, nil); !is[*DiskError](err) {
		t.Errorf("a folder in the file's place: %v", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held := flock.New(path)
	if ok, err := held.TryLock(); !ok {
		t.Fatal(err)
	}
	busy := make(chan struct{}, 2)
	done := make(chan error)
	go func() {
		unlock, err := Lock(t.Context(), path, func() { busy <- struct{}{} })
		if err == nil {
			unlock()
		}
		done <- err
	}()
	<-busy
	select {
	case err := <-done:
		t.Fatalf("it does not wait: %v", err)
	default:
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Lock(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
	held.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if unlock, err := Lock(t.Context(), path, func() { t.Error("what was unlocked is held") }); err != nil {
		t.Error(err)
	} else {
		unlock()
	}
	if _, err := Lock(t.Context(), filepath.Join(path, "below"), func() {}); !is[*DiskError](err) {
		t.Errorf("a lock that cannot be: %v", err)
	}
}
