package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gpuplay/gpuplay/internal/disk"
	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/unit"
)

func (c *Client) folder(p *Plan) string {
	return filepath.Join(c.Cache, "models--"+strings.ReplaceAll(p.ID, "/", "--"))
}

func (c *Client) snapshot(p *Plan) string {
	return filepath.Join(c.folder(p), "snapshots", p.Commit)
}

// blob is where a file's content lies, whichever versions it is part of.
func (c *Client) blob(p *Plan, f File) string {
	return filepath.Join(c.folder(p), "blobs", f.hash())
}

// incomplete is where a download grows.
func (c *Client) incomplete(p *Plan, f File) string { return c.blob(p, f) + ".incomplete" }

// pointer is the file's name in the snapshot: a link to the blob, or the file
// itself where there are no links.
func (c *Client) pointer(p *Plan, f File) string {
	return filepath.Join(c.snapshot(p), filepath.FromSlash(f.Path))
}

// lock is the file that huggingface_hub locks for the same download.
func (c *Client) lock(p *Plan, f File) string {
	return filepath.Join(c.Cache, ".locks", filepath.Base(c.folder(p)), f.hash()+".lock")
}

// complete reports whether a file's content is here.
func (c *Client) complete(p *Plan, f File) bool {
	for _, path := range []string{c.blob(p, f), c.pointer(p, f)} {
		if info, err := os.Stat(path); err == nil && info.Size() == f.Size {
			return true
		}
	}
	return false
}

// have returns how many bytes of a file are here.
func (c *Client) have(p *Plan, f File) int64 {
	if c.complete(p, f) {
		return f.Size
	}
	if info, err := os.Stat(c.incomplete(p, f)); err == nil {
		return min(info.Size(), f.Size)
	}
	return 0
}

// link gives a blob its name in the snapshot. Where there are no links, the file
// itself goes there, as huggingface_hub has it.
func (c *Client) link(p *Plan, f File) error {
	pointer, blob := c.pointer(p, f), c.blob(p, f)
	if info, err := os.Stat(pointer); err == nil && info.Size() == f.Size {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(pointer), 0o755); err != nil {
		return err
	}
	if err := os.Remove(pointer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // a link into nowhere, or a file that is not whole
	}
	target, err := filepath.Rel(filepath.Dir(pointer), blob)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, pointer); err == nil {
		return nil
	}
	return os.Rename(blob, pointer)
}

// refer makes this version the one that the branch main stands for.
func (c *Client) refer(p *Plan) error {
	ref := filepath.Join(c.folder(p), "refs", "main")
	if text, err := os.ReadFile(ref); err == nil && string(text) == p.Commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(ref), "main.*.tmp")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(p.Commit)
	if err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), ref)
	}
	if err != nil {
		os.Remove(temporary.Name())
	}
	return err
}

// room reports whether what is missing fits onto the disk.
func (c *Client) room(p *Plan) error {
	if p.Missing == 0 {
		return nil
	}
	free, err := c.Free(disk.Nearest(c.Cache))
	if err != nil || free >= uint64(p.Missing) {
		return nil // not known: writing fails when the disk is full
	}
	return fault.Errorf(fault.Unavailable, "%s needs %s in %s, %s is free", p.ID, unit.Bytes(float64(p.Missing)), c.Cache, unit.Bytes(float64(free))).With(
		fault.Advice("free some space, or name a folder on another disk with HF_HUB_CACHE")...)
}
