package setup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fetch"
)

// PyPI is the index that source distributions come from.
const PyPI = "https://pypi.org/simple/"

// A release is a file of the index's answer in JSON:
// https://packaging.python.org/en/latest/specifications/simple-repository-api/
type release struct {
	Name string `json:"filename"`
	URL  string `json:"url"`  // may be relative to the page
	Size *int64 `json:"size"` // bytes; not in every index
}

// fetch downloads a pinned source distribution into file and unpacks one of its folders
// into dir.
func (b *Builder) fetch(ctx context.Context, pin Pin, file, dir, folder string) error {
	client := fetch.New()
	page := b.Index + pin.Package + "/"
	r, address, err := published(ctx, client, page, pin.File)
	if err != nil {
		return fmt.Errorf("asking %s: %w", page, err)
	}
	fmt.Fprintf(b.Log, "gpuplay: %s\n", address)
	source := fetch.File{Name: r.Name, Address: address, Path: file, Part: file + ".incomplete", Size: -1, Hash: fetch.SHA256(pin.SHA256)}
	if r.Size != nil {
		source.Size = *r.Size
	}
	waits := func(p fetch.Progress) {
		if p.Waiting != "" {
			fmt.Fprintf(b.Log, "gpuplay: %s: %s, trying again\n", r.Name, p.Waiting)
		}
	}
	if err := client.File(ctx, source, waits); err != nil {
		return fmt.Errorf("downloading %s: %w", address, err)
	}
	if err := unpack(ctx, file, dir, folder); err != nil {
		return fmt.Errorf("unpacking %s: %w", r.Name, err)
	}
	return os.Remove(file)
}

// published returns a file on a package's page, and its address.
func published(ctx context.Context, client *fetch.Client, page, name string) (r release, address string, err error) {
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	response, err := client.Get(asking, page, http.Header{"Accept": {"application/vnd.pypi.simple.v1+json"}})
	if err != nil {
		return r, "", err
	}
	defer response.Body.Close()
	var answer struct {
		Files []release `json:"files"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return r, "", err
	}
	i := slices.IndexFunc(answer.Files, func(f release) bool { return f.Name == name })
	if i < 0 {
		return r, "", fmt.Errorf("it has no %s", name)
	}
	r = answer.Files[i]
	at, err := response.Request.URL.Parse(r.URL)
	if err != nil {
		return r, "", err
	}
	return r, (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path, RawQuery: at.RawQuery}).String(), nil
}

// unpack takes one folder out of an archive whose files all lie in one folder of
// its own, and refuses names that lead elsewhere.
func unpack(ctx context.Context, file, dir, folder string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	root, err := makeRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	found := false
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF) && !found:
			return fmt.Errorf("it has no folder %s", folder)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		_, name, _ := strings.Cut(path.Clean(h.Name), "/")
		name, inside := strings.CutPrefix(name, folder+"/")
		if !inside || h.Typeflag != tar.TypeReg {
			continue
		}
		found = true
		local := filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(local), 0o755); err != nil {
			return err
		}
		out, err := root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644|os.FileMode(h.Mode)&0o111)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, archive)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

func makeRoot(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}
