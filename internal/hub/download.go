package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// Get downloads what a plan lacks and returns the model's path. Cut off by ctx or
// an error, it keeps what has come, and the next Get goes on from there.
func (c *Client) Get(ctx context.Context, p *Plan) (string, error) {
	if err := c.room(p); err != nil {
		return "", err
	}
	d := &download{Client: c, plan: p}
	for _, f := range p.Files {
		if err := d.file(ctx, f); err != nil {
			return "", c.explain(ctx, p.ID, err)
		}
		d.before += f.Size
	}
	if err := c.refer(p); err != nil {
		return "", d.disk(err)
	}
	return c.Path(p), nil
}

// A download carries a plan out.
type download struct {
	*Client
	plan   *Plan
	before int64 // bytes of the files that are complete
}

func (d *download) tell(f File, done int64, waiting string, pause time.Duration) {
	if d.Observe != nil {
		d.Observe(Progress{File: f.Path, Done: d.before + done, Total: d.plan.Bytes, Waiting: waiting, Pause: pause})
	}
}

// disk says what a full or closed disk means.
func (d *download) disk(err error) error {
	hint := "HF_HUB_CACHE names a folder that can be written to"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "what has come is kept: free some space and repeat the command, or name another disk with HF_HUB_CACHE"
	}
	return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s cannot be kept in %s: %v", d.plan.ID, d.Cache, err), Remedies: fault.Advice(hint)}
}

// file makes sure that a file is in the snapshot. Only one program at a time
// fetches it.
func (d *download) file(ctx context.Context, f File) (err error) {
	for _, dir := range []string{filepath.Dir(d.lock(d.plan, f)), filepath.Dir(d.blob(d.plan, f))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return d.disk(err)
		}
	}
	lock := flock.New(d.lock(d.plan, f), flock.SetPermissions(0o664))
	held, err := lock.TryLock()
	if err == nil && !held {
		d.tell(f, 0, "another program downloads it", 0)
		held, err = lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil || !held:
		return d.disk(fmt.Errorf("locking it: %w", err))
	}
	defer lock.Unlock()
	if !d.complete(d.plan, f) {
		if err := d.fetch(ctx, f); err != nil {
			return err
		}
	}
	if err := d.link(d.plan, f); err != nil {
		return d.disk(err)
	}
	d.tell(f, f.Size, "", 0)
	return nil
}

// attempts is how often a connection may break without a byte having come.
const attempts = 5

// fetch downloads a file into its blob and goes on where a connection broke.
func (d *download) fetch(ctx context.Context, f File) error {
	name := d.incomplete(d.plan, f)
	out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return d.disk(err)
	}
	defer out.Close()
	sum, err := d.resume(out, f)
	if err != nil {
		return d.disk(err)
	}
	for failed := 0; sum.n < f.Size; {
		before := sum.n
		err := d.stream(ctx, f, out, sum)
		var r *refusal
		var e *fault.Error
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errDisk):
			return d.disk(err)
		case errors.As(err, &r) && !r.passing(), errors.As(err, &e) && e.Code == fault.Invalid:
			return err
		}
		if failed++; sum.n > before {
			failed = 1
		}
		if failed >= attempts {
			return given(err, f)
		}
		wait := time.Second << (failed - 1)
		if r != nil {
			if s, err := strconv.Atoi(r.wait); err == nil && s > 0 {
				wait = min(time.Duration(s)*time.Second, time.Minute)
			}
		}
		d.tell(f, sum.n, err.Error(), wait)
		if err := d.pause(ctx, wait); err != nil {
			return err
		}
	}
	if got := hex.EncodeToString(sum.hash.Sum(nil)); got != f.hash() {
		err := errors.Join(out.Close(), os.Remove(name))
		if err != nil {
			return d.disk(err)
		}
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s of %s is damaged: its %s is %s and should be %s; it was removed", f.Path, d.plan.ID, f.algorithm(), got, f.hash()), Remedies: fault.Advice("repeat the command to download it again")}
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return d.disk(err)
	}
	if err := os.Rename(name, d.blob(d.plan, f)); err != nil {
		return d.disk(err)
	}
	return nil
}

// given is what made an attempt the last one.
func given(err error, f File) error {
	var e *fault.Error
	var r *refusal
	if errors.As(err, &e) || errors.As(err, &r) {
		return err // they have a way out
	}
	return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s: %v, %d times in a row", f.Path, err, attempts), Remedies: fault.Advice("repeat the command: what has come is kept")}
}

// A checksum is the hash of the first n bytes of a file.
type checksum struct {
	hash hash.Hash
	n    int64
}

func (f File) algorithm() string {
	if f.SHA256 != "" {
		return "SHA-256"
	}
	return "Git hash"
}

// sum begins the hash that the Hub knows a file by: SHA-256 of what is in Git LFS,
// else that of Git, which begins with the length.
func (f File) sum() *checksum {
	if f.SHA256 != "" {
		return &checksum{hash: sha256.New()}
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return &checksum{hash: h}
}

// resume reads what came the last time.
func (d *download) resume(out *os.File, f File) (*checksum, error) {
	sum := f.sum()
	n, err := io.Copy(sum.hash, io.LimitReader(out, f.Size))
	if err != nil {
		return nil, err
	}
	sum.n = n
	return sum, out.Truncate(n)
}

// errDisk marks an error of writing among those of reading from the network.
var errDisk = errors.New("writing")

// stream asks for the rest of a file once and appends what comes. It returns nil
// only when the server has sent all that it wanted to.
func (d *download) stream(ctx context.Context, f File, out *os.File, sum *checksum) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(d.stall, func() { cancel(fmt.Errorf("nothing came for %s", d.stall)) })
	defer stalled.Stop()
	d.tell(f, sum.n, "", 0)
	header := http.Header{}
	if sum.n > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", sum.n))
	}
	response, err := d.get(ctx, d.Endpoint+"/"+d.plan.ID+"/resolve/"+d.plan.Commit+"/"+escape(f.Path), header)
	if err != nil {
		return reason(ctx, err)
	}
	defer response.Body.Close()
	if sum.n > 0 && (response.StatusCode != http.StatusPartialContent || !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", sum.n))) {
		// A server that does not know ranges sends it all again.
		if response.StatusCode != http.StatusOK {
			return &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("%s sends another part of %s than was asked for: %s", response.Request.URL.Host, f.Path, response.Header.Get("Content-Range"))}
		}
		if err := out.Truncate(0); err != nil {
			return fmt.Errorf("%w: %w", errDisk, err)
		}
		*sum = *f.sum()
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := response.Body.Read(buffer)
		stalled.Reset(d.stall)
		if int64(n) > f.Size-sum.n {
			return &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("%s sends more of %s than its %d bytes", response.Request.URL.Host, f.Path, f.Size), Remedies: fault.Advice("is HF_ENDPOINT right?")}
		}
		if _, err := out.WriteAt(buffer[:n], sum.n); err != nil {
			return fmt.Errorf("%w: %w", errDisk, errors.Join(err, out.Truncate(sum.n)))
		}
		sum.hash.Write(buffer[:n])
		sum.n += int64(n)
		d.tell(f, sum.n, "", 0)
		switch {
		case errors.Is(err, io.EOF) && sum.n < f.Size:
			return errors.New("the connection ended early")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return reason(ctx, err)
		}
	}
}

// reason is why a request ended: the context's cause, where that is what ended it.
func reason(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// escape makes a path what an address may have.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
