package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// newHTTP returns a client that waits for a server, but not for ever.
func newHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: t, CheckRedirect: redirected}
}

// redirected keeps the token from going anywhere but to the host that it is for:
// files lie on other hosts, and Go's client would send it to those below the same
// domain.
func redirected(r *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("the server redirects in circles")
	}
	if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		r.Header.Del("Authorization")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("the server redirects to %s, which is not encrypted", r.URL.Redacted())
	}
	return nil
}

// get asks the Hub. A status of 400 and more is an error, and its body is closed.
func (c *Client) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &fault.Error{Code: fault.Invalid, Message: fmt.Sprintf("HF_ENDPOINT %s: %v", c.Endpoint, err), Remedies: fault.Advice("it is an address such as " + Endpoint)}
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "gpuplay")
	r.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable(r.URL.Host, err)
	}
	if response.StatusCode >= 400 {
		response.Body.Close()
		return nil, &refusal{status: response.StatusCode, code: response.Header.Get("X-Error-Code"), host: response.Request.URL.Host, wait: response.Header.Get("Retry-After")}
	}
	return response, nil
}

// unreachable says in a line that the network does not lead to the Hub.
func unreachable(host string, err error) error {
	var u *url.Error
	if errors.As(err, &u) { // it repeats the address
		err = u.Err
	}
	hint := "try again when this machine is online; gpuplay models lists the models that are here; HF_ENDPOINT names a mirror"
	why := err.Error()
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		why = "its name is not known here"
	case errors.As(err, &timeout) && timeout.Timeout():
		why = "no answer"
	case strings.Contains(why, "certificate"):
		hint = "is something between this machine and the Hub? HF_ENDPOINT names a mirror"
	}
	return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s cannot be reached: %s", host, why), Remedies: fault.Advice(hint)}
}

// A refusal is a server's answer that is none. The codes are the Hub's:
// hf_raise_for_status in huggingface_hub/utils/_http.py lists them.
type refusal struct {
	status     int
	code, host string
	wait       string // Retry-After
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s answers %d %s", r.host, r.status, http.StatusText(r.status))
}

// passing reports whether asking again may help.
func (r *refusal) passing() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout || r.status >= 500
}

// explain turns a refusal into words for people.
func (c *Client) explain(ctx context.Context, name string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	switch {
	case r.code == "GatedRepo":
		return c.gated(name)
	case r.status == http.StatusUnauthorized && c.Token != "" && r.code != "RepoNotFound":
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s does not accept the token in %s", r.host, c.TokenFrom), Remedies: fault.Advice("make another at https://huggingface.co/settings/tokens, or take it away for models that are open to all")}
	// Without a token the Hub answers 401 for what is not there, too: it does not
	// say which private models exist.
	case r.status == http.StatusNotFound, r.status == http.StatusUnauthorized, r.code == "RepoNotFound":
		return c.notFound(ctx, name)
	case r.status == http.StatusForbidden:
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s does not let this token read %s", r.host, name), Remedies: fault.Advice("a fine-grained token needs the right to read it: https://huggingface.co/settings/tokens")}
	case r.status == http.StatusTooManyRequests:
		return &fault.Error{Code: fault.Unavailable, Message: r.host + " wants fewer requests for now", Remedies: fault.Advice("try again in some minutes; HF_TOKEN with a token of yours gets more")}
	}
	return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s: %v", name, err), Remedies: fault.Advice("try again later: https://status.huggingface.co")}
}

func (c *Client) gated(name string) error {
	hint := "accept its terms at https://huggingface.co/" + name
	if c.Token == "" {
		hint += ", then set HF_TOKEN to a token from https://huggingface.co/settings/tokens, or hf auth login"
	} else {
		hint += " with the account that the token in " + c.TokenFrom + " is of"
	}
	return &fault.Error{Code: fault.Unavailable, Message: name + " is gated: its owner wants its terms accepted first", Remedies: fault.Advice(hint)}
}

// notFound names models with names like the one that there is not.
func (c *Client) notFound(ctx context.Context, name string) error {
	hint := "private models need HF_TOKEN; without a name gpuplay models get takes " + Defaults[0].Name
	if near := c.near(ctx, name); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "? private models need HF_TOKEN"
	}
	return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("there is no model %s on Hugging Face, or it is private", name), Remedies: fault.Advice(hint)}
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
			alike := func(n string) float64 {
				return levenshtein.Similarity(strings.ToLower(n), strings.ToLower(name), nil)
			}
			slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(alike(b), alike(a)) })
			return names[:min(3, len(names))]
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
	response, err := c.get(ctx, c.Endpoint+path, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, longestAnswer)).Decode(into); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s does not answer as Hugging Face does: %v", response.Request.URL.Host, err), Remedies: fault.Advice("is HF_ENDPOINT right? is there a page to log in between this machine and the network?")}
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
		return &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("the Hub says of %s %s", r.ID, what), Remedies: fault.Advice("is HF_ENDPOINT right?")}
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
