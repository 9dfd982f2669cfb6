package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/fetch"
)

// header returns the header of every request to the Hub.
func (c *Client) header() http.Header {
	h := http.Header{}
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+c.Token)
	}
	return h
}

// unreachable says what to do when the network does not lead to the Hub.
func unreachable(err error, certificate bool) error {
	remedies := fault.Remedies{
		{Text: "try again when this machine is online"},
		fault.Run("{} lists the models that are on this machine", "gpuplay", "models"),
		{Text: "HF_ENDPOINT names a mirror"},
	}
	if certificate {
		remedies = fault.Remedies{{Text: "is something between this machine and the Hub?"}, {Text: "HF_ENDPOINT names a mirror"}}
	}
	return fault.Errorf(fault.Unavailable, "%v", err).With(remedies...)
}

// explain says for people what a server's refusal means, and what to do. Its codes
// are the Hub's: hf_raise_for_status in huggingface_hub/utils/_http.py lists them.
func (c *Client) explain(ctx context.Context, name string, err error) error {
	var u *fetch.Unreachable
	if errors.As(err, &u) {
		return unreachable(u, u.Certificate)
	}
	var r *fetch.Refusal
	if !errors.As(err, &r) {
		return err
	}
	refused := func(advice, format string, args ...any) error {
		return fault.Errorf(fault.Unavailable, format, args...).With(fault.Advice(advice)...)
	}
	code := r.Header.Get("X-Error-Code")
	switch {
	case code == "GatedRepo":
		return c.gated(name)
	case r.Status == http.StatusUnauthorized && c.Token != "" && code != "RepoNotFound":
		return refused("make another at https://huggingface.co/settings/tokens, or remove it: public models need none", "%s does not accept the token in %s", r.Host, c.TokenFrom)
	// Without a token the Hub answers 401 for what is not there, too: it does not
	// say which private models exist.
	case r.Status == http.StatusNotFound, r.Status == http.StatusUnauthorized, code == "RepoNotFound":
		return c.notFound(ctx, name)
	case r.Status == http.StatusForbidden:
		return refused("a fine-grained token needs the right to read it: https://huggingface.co/settings/tokens", "%s does not let this token read %s", r.Host, name)
	case r.Status == http.StatusTooManyRequests:
		return refused("try again in some minutes; HF_TOKEN with a token of yours gets more", "%s limits the number of requests for now", r.Host)
	}
	return refused("try again later: https://status.huggingface.co", "%s: %v", name, err)
}

func (c *Client) gated(name string) error {
	e := fault.Errorf(fault.Unavailable, "%s is gated: its terms must be accepted first", name)
	terms := "accept its terms at https://huggingface.co/" + name
	if c.Token != "" {
		return e.With(fault.Advice(terms + " with the account that the token in " + c.TokenFrom + " is of")...)
	}
	return e.With(fault.Remedy{Text: terms + ", then set HF_TOKEN to a token from https://huggingface.co/settings/tokens"},
		fault.Run("or log in", "hf", "auth", "login"))
}

// notFound names models with names like the one that there is not.
func (c *Client) notFound(ctx context.Context, name string) error {
	e := fault.Errorf(fault.Unavailable, "there is no model %s on Hugging Face, or it is private", name)
	private := fault.Remedy{Text: "private models need HF_TOKEN"}
	if near := c.near(ctx, name); len(near) > 0 {
		return e.With(fault.Remedy{Text: "did you mean " + strings.Join(near, " or ") + "?"}, private)
	}
	return e.With(private, fault.Run("{} downloads a small model", "gpuplay", "models", "get", Defaults[0].Name))
}

// near searches for the model's name, and while nothing is found for less of it.
func (c *Client) near(ctx context.Context, name string) []string {
	_, word, _ := strings.Cut(name, "/")
	for range 4 {
		var found []struct {
			ID string `json:"id"`
		}
		if err := c.json(ctx, "/api/models?limit=50&search="+url.QueryEscape(word), &found); err != nil {
			return nil
		}
		if len(found) > 0 {
			var names []string
			for _, f := range found {
				if id.MatchString(f.ID) {
					names = append(names, f.ID)
				}
			}
			// The Hub has found them by their words; the nearest as a whole come first.
			near := fault.Nearest(name, names)
			for _, n := range names {
				if !slices.Contains(near, n) {
					near = append(near, n)
				}
			}
			return near[:min(3, len(near))]
		}
		cut := strings.LastIndexAny(word, "-_.")
		if cut < 3 {
			return nil
		}
		word = word[:cut]
	}
	return nil
}

// longestAnswer is more than the Hub says of any model.
const longestAnswer = 64 << 20

// json asks the Hub's interface for programs.
func (c *Client) json(ctx context.Context, path string, into any) error {
	if _, err := url.Parse(c.Endpoint); err != nil {
		return fault.Errorf(fault.Invalid, "HF_ENDPOINT %s: %v", c.Endpoint, err).With(fault.Advice("it is an address such as " + Endpoint)...)
	}
	response, err := c.client.Ask(ctx, c.Endpoint+path, c.header(), func(why string, pause time.Duration) {
		if c.Observe != nil {
			c.Observe(Progress{Waiting: why, Pause: pause})
		}
	})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, longestAnswer)).Decode(into); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.Errorf(fault.Unavailable, "%s does not answer as Hugging Face does: %v", response.Request.URL.Host, err).With(
			fault.Remedy{Text: "is HF_ENDPOINT right?"}, fault.Remedy{Text: "is there a page to log in between this machine and the network?"})
	}
	return nil
}

// A repository is what the Hub says of a model: ModelInfo with files_metadata in
// huggingface_hub/hf_api.py.
type repository struct {
	ID       string          `json:"id"`
	Commit   string          `json:"sha"`
	GatedBy  json.RawMessage `json:"gated"` // false, "auto" or "manual"
	CardData struct {
		License json.RawMessage `json:"license"` // a word, or several
	} `json:"cardData"`
	Siblings []struct {
		Path string `json:"rfilename"`
		Size int64  `json:"size"`
		Blob string `json:"blobId"`
		LFS  *struct {
			Size   int64  `json:"size"`
			SHA256 string `json:"sha256"`
		} `json:"lfs"`
	} `json:"siblings"`
}

func (c *Client) repository(ctx context.Context, name string) (repository, error) {
	var r repository
	if err := c.json(ctx, "/api/models/"+name+"/revision/main?blobs=true", &r); err != nil {
		return r, c.explain(ctx, name, err)
	}
	return r, nil
}

func (r repository) gated() bool {
	return len(r.GatedBy) > 0 && string(r.GatedBy) != "false" && string(r.GatedBy) != "null"
}

func (r repository) license() string {
	var word string
	json.Unmarshal(r.CardData.License, &word) // several, or none, are not one
	return word
}

var (
	hex40 = regexp.MustCompile(`^[0-9a-f]{40}$`)
	hex64 = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// files returns the repository's files, and an error when a name or a hash is none:
// they become names in the cache.
func (r repository) files() ([]File, error) {
	odd := func(what string) error {
		return fault.Errorf(fault.Unavailable, "the Hub says of %s %s", r.ID, what).With(fault.Advice("is HF_ENDPOINT right?")...)
	}
	if !id.MatchString(r.ID) || !hex40.MatchString(r.Commit) {
		return nil, odd(fmt.Sprintf("that its version is %q", r.Commit))
	}
	var files []File
	for _, s := range r.Siblings {
		f := File{Path: s.Path, Size: s.Size, Blob: s.Blob}
		if s.LFS != nil {
			f.Size, f.SHA256 = s.LFS.Size, s.LFS.SHA256
		}
		switch local := filepath.FromSlash(f.Path); {
		case !filepath.IsLocal(local) || strings.Contains(f.Path, `\`):
			return nil, odd(fmt.Sprintf("that it has a file %q", f.Path))
		case f.Size < 0, f.SHA256 != "" && !hex64.MatchString(f.SHA256), f.SHA256 == "" && !hex40.MatchString(f.Blob):
			return nil, odd(fmt.Sprintf("no size and hash of %q", f.Path))
		}
		files = append(files, f)
	}
	return files, nil
}
