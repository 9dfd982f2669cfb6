// Package openai measures a language model behind any server that has OpenAI's
// interface, such as llama-server, vLLM, LM Studio, mlx_lm.server and Ollama:
// https://platform.openai.com/docs/api-reference/chat. It starts no server and loads no
// model.
//
// It uses what all of these have: streamed chat completions, whose last event counts the
// tokens. All times are by our clock. They include the network, the chat template and
// whatever the server does before it computes, and are what a person waits for. Every
// prompt that is timed begins with a random text, so that no cache holds more of it than
// the beginning of the chat template.
package openai

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/host"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/model"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// A Runtime is a server.
type Runtime struct {
	URL string // that its interface begins with: http://127.0.0.1:8080/v1
	Key string // that it wants from its users; "": none. It goes to no other server and into no message
}

// Name returns "openai".
func (r *Runtime) Name() string { return model.OpenAI }

// connectLimit is how long a server may take to accept a connection.
const connectLimit = 10 * time.Second

// session is a model of a server.
type session struct {
	url     *url.URL
	key     string
	client  *http.Client
	model   string
	facts   llm.Facts
	random  *rand.Rand
	perWord float64   // tokens of the last long prompt for each of its words; 0: there was none
	plain   bool      // the server refuses fields that OpenAI does not have
	paces   []float64 // seconds for each token of the long prompts that no counter of the server vouches for
}

// base returns the address that the interface begins with. People also write it without
// http://, without /v1, or with the path of a request.
func base(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	example := fault.Set("url", "http://127.0.0.1:8080/v1", "for example")
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fault.Errorf(fault.Invalid, "the server's URL is no address of a web server").With(example)
	case u.User != nil:
		return nil, fault.Errorf(fault.Invalid, "the server's URL holds a user name or a password, which would be kept with the result").
			With(fault.Advice("the variable OPENAI_API_KEY holds a key")...)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fault.Errorf(fault.Invalid, "the server's URL has something after its path: %s", u.Host).With(example)
	}
	at := strings.TrimRight(u.Path, "/")
	for _, request := range []string{"/chat/completions", "/completions", "/models"} {
		at = strings.TrimSuffix(at, request)
	}
	if at == "" {
		at = "/v1"
	}
	u.Path = at
	return u, nil
}

func (r *Runtime) session() (*session, error) {
	u, err := base(r.URL)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: connectLimit}).DialContext
	return &session{
		url: u, key: r.Key,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this server
		},
		// A server outlives gpuplay: texts must differ from those of earlier runs too.
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}, nil
}

// Remote returns the server's address if it is on another machine, as far as that can be
// told; "" if it is on this one or the URL is none.
func (r *Runtime) Remote(ctx context.Context) string {
	u, err := base(r.URL)
	if err != nil || host.Here(ctx, u.Hostname()) {
		return ""
	}
	return u.Host
}

// listed is a model in the answer to GET /models. Its context has another name with each
// server: llama-server, vLLM, and those that follow OpenRouter.
type listed struct {
	ID      string `json:"id"`
	OwnedBy string `json:"owned_by"`
	Meta    struct {
		Context int `json:"n_ctx"`
	} `json:"meta"`
	MaxModelLen   int `json:"max_model_len"`
	ContextLength int `json:"context_length"`
}

// context returns the tokens of context, 0 if the server does not say.
func (m listed) context() int { return max(m.Meta.Context, m.MaxModelLen, m.ContextLength) }

// Find returns the model of that name, "" for the only one that the server has. Its
// errors say what is wrong with the address, the key or the name.
func (r *Runtime) Find(ctx context.Context, name string) (model.Model, error) {
	s, err := r.session()
	if err != nil {
		return model.Model{}, err
	}
	defer s.Close()
	s.model = name
	m, err := s.find(ctx)
	return model.Model{
		Ref: m.ID, Name: path.Base(m.ID), Path: m.ID, Place: s.url.Host, Context: m.context(),
		Chat: true, Runtimes: []string{model.OpenAI},
	}, err
}

// find asks the server for its models. One that cannot list them is believed to have the
// one that was named.
func (s *session) find(ctx context.Context) (listed, error) {
	var answer struct {
		Data []listed `json:"data"`
	}
	switch err := s.get(ctx, "models", &answer); {
	case errors.Is(err, errNoSuchPath) && s.model != "":
		return listed{ID: s.model}, nil
	case errors.Is(err, errNoSuchPath):
		return listed{}, fault.Errorf(fault.Unavailable, "%s has no list of models at %s", s.url.Host, s.url.JoinPath("models")).
			With(fault.Set("url", s.url.Scheme+"://"+s.url.Host+"/v1", "is this its address? most servers have"))
	case err != nil:
		return listed{}, err
	}
	var names []string
	for _, m := range answer.Data {
		m.ID = plain.Line(m.ID)
		if m.ID == s.model || m.ID == s.model+":latest" || s.model == "" && len(answer.Data) == 1 { // Ollama's default tag
			return m, nil
		}
		names = append(names, m.ID)
	}
	has := "it has " + strings.Join(names[:min(len(names), 8)], ", ")
	switch {
	case len(names) == 0:
		return listed{}, fault.Errorf(fault.Unavailable, "the server at %s has no model", s.url.Host).With(fault.Advice("load one into it, or see its log")...)
	case s.model == "":
		return listed{}, fault.Errorf(fault.Invalid, "the server at %s has %s: which one?", s.url.Host, unit.Plural(len(names), "model")).
			With(fault.Advice(has)...).With(fault.Set("model", names[0], "for example"))
	}
	return listed{}, fault.Errorf(fault.Unavailable, "the server at %s has no model %s", s.url.Host, s.model).With(fault.Advice(has)...)
}

// trips is how often the way to the server and back is timed.
const trips = 3

// Load looks at what the server says of the model and times the way to it and back. It
// loads nothing: the first answer may take as long as that takes.
func (r *Runtime) Load(ctx context.Context, name string, l llm.Settings) (llm.Session, error) {
	s, err := r.session()
	if err != nil {
		return nil, err
	}
	s.model = name
	m, err := s.find(ctx)
	if err != nil {
		s.Close()
		return nil, err
	}
	s.facts = llm.Facts{Host: r.Remote(ctx), Runtime: "OpenAI API", Context: m.context()}
	if m.OwnedBy != "" {
		s.facts.Runtime += " (" + plain.Line(m.OwnedBy) + ")"
	}
	trip := connectLimit
	for range trips { // the connection is there: find has made it
		began := time.Now()
		if _, err := s.find(ctx); err != nil {
			s.Close()
			return nil, err
		}
		trip = min(trip, time.Since(began))
	}
	note := fmt.Sprintf("by gpuplay's clock: a request that computes nothing takes %s there and back, and each first token and prompt includes that", unit.Seconds(trip))
	if s.facts.Host != "" {
		note = "not this machine: the server is at " + s.facts.Host + "; " + note
	}
	s.facts.Notes = []string{note}
	return s, nil
}

func (s *session) Facts() llm.Facts { return s.facts }

// Close closes the connections. The server keeps its model.
func (s *session) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
