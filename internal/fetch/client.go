package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Client asks servers.
type Client struct {
	Stall time.Duration                              // without a byte: the connection is given up
	Pause func(context.Context, time.Duration) error // waits between attempts
	http  *http.Client
}

// New returns a client that waits for a server, but not for ever.
func New() *Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	return &Client{
		Stall: time.Minute, Pause: pause,
		http: &http.Client{Transport: t, CheckRedirect: redirected},
	}
}

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

// redirected keeps a token from going anywhere but to the host that it is for: files
// lie on other hosts, and Go's client would send it to those below the same domain.
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

// Get asks for an address. A status of 400 and more is a *Refusal, a server that does
// not answer an *Unreachable; the body of any other answer is the caller's to close.
func (c *Client) Get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", "gpuplay")
	r.Header.Set("Accept-Encoding", "identity") // sizes and ranges are those of the file
	response, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreachable(r.URL.Host, err)
	}
	if response.StatusCode >= 400 {
		response.Body.Close()
		return nil, &Refusal{Host: response.Request.URL.Host, Status: response.StatusCode, Header: response.Header}
	}
	return response, nil
}

// patience is how long Ask waits in all for a server that wants to be left alone.
const patience = 2 * time.Minute

// Ask is Get, except that a server that says with its refusal when to ask again, in a
// Retry-After, is asked again then: at most Attempts times, within two minutes in all.
// waiting is called before each pause.
func (c *Client) Ask(ctx context.Context, address string, header http.Header, waiting func(why string, pause time.Duration)) (*http.Response, error) {
	left := patience
	for tries := 1; ; tries++ {
		response, err := c.Get(ctx, address, header)
		var refused *Refusal
		if !errors.As(err, &refused) || !refused.Passing() {
			return response, err
		}
		wait, said := refused.wait()
		wait = max(wait, time.Second)
		if !said || wait > left || tries == Attempts {
			return nil, err
		}
		left -= wait
		waiting(err.Error(), wait)
		if err := c.Pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// A Refusal is a server's answer that is none.
type Refusal struct {
	Host   string
	Status int
	Header http.Header // of the answer
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s answers %d %s", r.Host, r.Status, http.StatusText(r.Status))
}

// Passing reports whether asking again later may help.
func (r *Refusal) Passing() bool {
	return r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout || r.Status >= 500
}

// Unreachable is a server to which the network does not lead.
type Unreachable struct {
	Host        string
	Why         string
	Certificate bool // the server showed one that is not trusted
	Err         error
}

func (u *Unreachable) Error() string { return u.Host + " cannot be reached: " + u.Why }
func (u *Unreachable) Unwrap() error { return u.Err }

func unreachable(host string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // it repeats the address
		err = wrapped.Err
	}
	u := &Unreachable{Host: host, Why: err.Error(), Err: err}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		u.Why = "its name is not known here"
	case errors.As(err, &timeout) && timeout.Timeout():
		u.Why = "no answer"
	default:
		u.Certificate = strings.Contains(u.Why, "certificate")
	}
	return u
}
