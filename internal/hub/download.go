package hub

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/fetch"
)

// Get downloads what a plan lacks and returns the model's path. Cut off by ctx or
// an error, it keeps what has come, and the next Get continues from there.
func (c *Client) Get(ctx context.Context, p *Plan) (string, error) {
	if err := c.room(p); err != nil {
		return "", err
	}
	d := &download{Client: c, plan: p}
	for _, f := range p.Files {
		if err := d.file(ctx, f); err != nil {
			return "", c.explain(ctx, p.ID, d.failed(f, err))
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
	remedy := "HF_HUB_CACHE names a folder that can be written to"
	if errors.Is(err, syscall.ENOSPC) {
		remedy = "what has come is kept: free some space and repeat the command, or name another disk with HF_HUB_CACHE"
	}
	return fault.Errorf(fault.Unavailable, "%s cannot be kept in %s: %v", d.plan.ID, d.Cache, err).With(fault.Advice(remedy)...)
}

// file makes sure that a file is in the snapshot. Only one program at a time
// fetches it.
func (d *download) file(ctx context.Context, f File) error {
	for _, dir := range []string{filepath.Dir(d.lock(d.plan, f)), filepath.Dir(d.blob(d.plan, f))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return &fetch.DiskError{Err: err}
		}
	}
	unlock, err := fetch.Lock(ctx, d.lock(d.plan, f), func() { d.tell(f, 0, "another program downloads it", 0) })
	if err != nil {
		return err
	}
	defer unlock()
	if !d.complete(d.plan, f) {
		if err := d.client.File(ctx, d.content(f), func(p fetch.Progress) { d.tell(f, p.Done, p.Waiting, p.Pause) }); err != nil {
			return err
		}
	}
	if err := d.link(d.plan, f); err != nil {
		return &fetch.DiskError{Err: err}
	}
	d.tell(f, f.Size, "", 0)
	return nil
}

// content is what is fetched for a file: its blob.
func (d *download) content(f File) fetch.File {
	return fetch.File{
		Name:    f.Path,
		Address: d.address(d.plan, f),
		Header:  d.header(),
		Path:    d.blob(d.plan, f),
		Part:    d.incomplete(d.plan, f),
		Size:    f.Size,
		Hash:    f.sum(),
	}
}

// failed says for people why a file was not downloaded; a server's refusal stays
// what it is.
func (d *download) failed(f File, err error) error {
	var disk *fetch.DiskError
	var damaged *fetch.Damaged
	var wrong *fetch.WrongAnswer
	var refused *fetch.Refusal
	var unreachable *fetch.Unreachable
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.As(err, &refused), errors.As(err, &unreachable):
		return err
	case errors.As(err, &disk):
		return d.disk(err)
	case errors.As(err, &damaged):
		return fault.Errorf(fault.Unavailable, "%s of %s is damaged: %v", f.Path, d.plan.ID, err).With(fault.Advice("repeat the command to download it again")...)
	case errors.As(err, &wrong):
		return fault.Errorf(fault.Invalid, "%v", err).With(fault.Advice("is HF_ENDPOINT right?")...)
	}
	return fault.Errorf(fault.Unavailable, "%s: %v", f.Path, err).With(fault.Advice("repeat the command: what has come is kept")...)
}

// sum is the hash that the Hub knows a file by: SHA-256 of what is in Git LFS, else
// that of Git, which begins with the length.
func (f File) sum() fetch.Hash {
	if f.SHA256 != "" {
		return fetch.SHA256(f.SHA256)
	}
	return fetch.Hash{Name: "Git hash", Sum: f.Blob, New: func() hash.Hash {
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", f.Size)
		return h
	}}
}

// escape makes a path what an address may have.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
