// Package fetch downloads files over HTTP. What was cut off is continued, a
// connection on which nothing comes is given up and tried again, and a file gets its
// name only when its size and its hash are those that were promised.
//
// It knows no site: where files are, who may read them and what to advise when they
// cannot be had is the business of its callers.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Attempts is the number of consecutive attempts that may fail without receiving any
// data.
const Attempts = 5

// A File is what to download.
type File struct {
	Name    string      // in messages
	Address string      //
	Header  http.Header // of the requests
	Path    string      // what it is called once it is complete
	Part    string      // where it grows until then; what is there already is continued
	Size    int64       // in bytes; negative: what the server says
	Hash    Hash
}

// A Hash is what a file's content must have.
type Hash struct {
	Name string           // "SHA-256"
	New  func() hash.Hash //
	Sum  string           // hexadecimal, in lower case
}

// SHA256 returns the hash with that sum.
func SHA256(sum string) Hash { return Hash{"SHA-256", sha256.New, sum} }

// A Progress is how far a download is.
type Progress struct {
	Done    int64         // bytes that are here
	Total   int64         // of the file; negative while not known
	Waiting string        // why nothing comes for now; empty while it does
	Pause   time.Duration // until the next attempt, where Waiting
}

// File downloads a file. Cut off by ctx or an error, it leaves what has come in
// File.Part; the next call continues from there. observe, which may be nil, must not
// block.
//
// Its errors are a *Refusal or an *Unreachable from the server, a *WrongAnswer, a
// *Damaged, a *DiskError, ctx's own, or one that says why a connection broke.
func (c *Client) File(ctx context.Context, f File, observe func(Progress)) error {
	if observe == nil {
		observe = func(Progress) {}
	}
	out, err := os.OpenFile(f.Part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return &DiskError{err}
	}
	defer out.Close()
	d := &download{Client: c, File: f, observe: observe, out: out}
	if err := d.resume(); err != nil {
		return &DiskError{err}
	}
	if err := d.complete(ctx); err != nil {
		return err
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != f.Hash.Sum {
		if err := errors.Join(out.Close(), os.Remove(f.Part)); err != nil {
			return &DiskError{err}
		}
		return &Damaged{Hash: f.Hash.Name, Got: got, Want: f.Hash.Sum}
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return &DiskError{err}
	}
	if err := os.Rename(f.Part, f.Path); err != nil {
		return &DiskError{err}
	}
	return nil
}

// A download is a file on its way.
type download struct {
	*Client
	File
	observe func(Progress)
	out     *os.File
	sum     hash.Hash // of the first n bytes
	n       int64     // bytes that are here
}

func (d *download) tell(waiting string, pause time.Duration) {
	d.observe(Progress{Done: d.n, Total: d.Size, Waiting: waiting, Pause: pause})
}

// resume reads what came the last time. Without a size it may be all of the file or
// more, so it is left, and the first answer overwrites it.
func (d *download) resume() error {
	d.sum = d.Hash.New()
	if d.Size < 0 {
		return nil
	}
	var err error
	if d.n, err = io.Copy(d.sum, io.LimitReader(d.out, d.Size)); err != nil {
		return err
	}
	return d.out.Truncate(d.n)
}

// complete asks for the rest until it is there, and pauses after a connection broke.
func (d *download) complete(ctx context.Context) error {
	for failed := 0; d.Size < 0 || d.n < d.Size; {
		before := d.n
		err := d.stream(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *Refusal
		if errors.As(err, &refused) && !refused.Passing() || final(err) {
			return err
		}
		if failed++; d.n > before {
			failed = 1
		}
		if failed >= Attempts {
			var unreachable *Unreachable
			if refused != nil || errors.As(err, &unreachable) {
				return err
			}
			return fmt.Errorf("%w, %d times in a row", err, Attempts)
		}
		wait := time.Second << (failed - 1)
		if refused != nil {
			wait = refused.after(wait)
		}
		d.tell(err.Error(), wait)
		if err := d.Pause(ctx, wait); err != nil {
			return err
		}
	}
	return nil
}

// final reports whether asking again cannot help.
func final(err error) bool {
	var disk *DiskError
	var wrong *WrongAnswer
	return errors.As(err, &disk) || errors.As(err, &wrong)
}

// stream asks for the rest of a file once and appends what comes. It returns nil
// only when the file has all its bytes.
func (d *download) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(d.Stall, func() { cancel(fmt.Errorf("nothing came for %s", d.Stall)) })
	defer stalled.Stop()
	d.tell("", 0)
	response, err := d.request(ctx)
	if err != nil {
		return reason(ctx, err)
	}
	defer response.Body.Close()
	buffer := make([]byte, 256<<10)
	for {
		n, err := response.Body.Read(buffer)
		stalled.Reset(d.Stall)
		if d.Size >= 0 && int64(n) > d.Size-d.n {
			return &WrongAnswer{response.Request.URL.Host, fmt.Sprintf("sends more of %s than its %d bytes", d.Name, d.Size)}
		}
		if _, err := d.out.WriteAt(buffer[:n], d.n); err != nil {
			return &DiskError{errors.Join(err, d.out.Truncate(d.n))}
		}
		d.sum.Write(buffer[:n])
		d.n += int64(n)
		d.tell("", 0)
		switch {
		case errors.Is(err, io.EOF) && d.n < d.Size:
			return errors.New("the connection ended early")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return reason(ctx, err)
		}
	}
}

// request asks for what is missing. A server that does not know ranges sends it all
// again, and the file begins anew.
func (d *download) request(ctx context.Context) (*http.Response, error) {
	header := d.Header.Clone()
	if d.n > 0 {
		if header == nil {
			header = http.Header{}
		}
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.n))
	}
	response, err := d.Get(ctx, d.Address, header)
	if err != nil {
		return nil, err
	}
	part := response.Header.Get("Content-Range")
	switch {
	case d.n > 0 && response.StatusCode == http.StatusPartialContent && strings.HasPrefix(part, fmt.Sprintf("bytes %d-", d.n)):
		return response, nil
	case response.StatusCode != http.StatusOK:
		response.Body.Close()
		return nil, &WrongAnswer{response.Request.URL.Host, fmt.Sprintf("sends another part of %s than was asked for: %s", d.Name, part)}
	}
	if err := d.out.Truncate(0); err != nil {
		response.Body.Close()
		return nil, &DiskError{err}
	}
	d.n, d.sum = 0, d.Hash.New()
	if d.Size < 0 {
		d.Size = response.ContentLength
	}
	return response, nil
}

// reason is why a request ended: the context's cause, where that is what ended it.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Lock holds the lock of a file, so that only one program at a time downloads what it
// stands for, and returns what lets go of it. busy is called once when another
// program holds it. Its errors are a *DiskError or ctx's own.
func Lock(ctx context.Context, path string, busy func()) (unlock func(), err error) {
	l := flock.New(path, flock.SetPermissions(0o664))
	held, err := l.TryLock()
	if err == nil && !held {
		busy()
		held, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	switch {
	case ctx.Err() != nil:
		if held {
			l.Unlock()
		}
		return nil, ctx.Err()
	case err != nil || !held:
		return nil, &DiskError{fmt.Errorf("locking it: %w", err)}
	}
	return func() { l.Unlock() }, nil
}

// A DiskError is one of the disk that a file is kept on.
type DiskError struct{ Err error }

func (e *DiskError) Error() string { return e.Err.Error() }
func (e *DiskError) Unwrap() error { return e.Err }

// Damaged is a file that has come in full and is not what was promised. It was
// removed.
type Damaged struct{ Hash, Got, Want string }

func (e *Damaged) Error() string {
	return fmt.Sprintf("its %s is %s and should be %s; it was removed", e.Hash, e.Got, e.Want)
}

// A WrongAnswer is one that does not follow from what was asked.
type WrongAnswer struct{ Host, Does string }

func (e *WrongAnswer) Error() string { return e.Host + " " + e.Does }

// wait returns how long a server wants to be left alone, if it says so in a Retry-After:
// seconds, or a date (RFC 9110, section 10.2.3).
func (r *Refusal) wait() (d time.Duration, said bool) {
	word := r.Header.Get("Retry-After")
	if s, err := strconv.Atoi(word); err == nil && s >= 0 {
		return time.Duration(min(s, 1<<30)) * time.Second, true
	}
	if at, err := http.ParseTime(word); err == nil {
		return max(0, time.Until(at)), true
	}
	return 0, false
}

// after returns how long a server wants to be left alone, at most a minute, or else
// otherwise.
func (r *Refusal) after(otherwise time.Duration) time.Duration {
	if d, said := r.wait(); said && d > 0 {
		return min(d, time.Minute)
	}
	return otherwise
}
