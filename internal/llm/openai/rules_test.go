package openai

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// The tests of this file are named after the rules of docs/MEASURING.md. Their server is
// made of a virtual clock.

// virtual is a server that reads a prompt token in a time and makes one in another.
type virtual struct {
	t       *testing.T
	read    time.Duration // of a prompt token
	make    time.Duration // of a token
	each    int           // tokens in a piece; 0: 1
	usage   string        // further fields of the usage
	strict  bool          // refuses fields that OpenAI does not have
	cached  func(asked int) bool
	prompts []string
	bodies  []map[string]any
}

const promptTokens = 100

func (v *virtual) RoundTrip(q *http.Request) (*http.Response, error) {
	var body map[string]any
	if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
		v.t.Error(err)
	}
	v.bodies = append(v.bodies, body)
	if _, extra := body["ignore_eos"]; extra && v.strict {
		return &http.Response{StatusCode: http.StatusBadRequest, Status: "400 Bad Request", Request: q, Body: io.NopCloser(strings.NewReader(`{"error":{"message":"Unrecognized request argument supplied: ignore_eos"}}`))}, nil
	}
	v.prompts = append(v.prompts, body["messages"].([]any)[0].(map[string]any)["content"].(string))
	read := v.read
	if v.cached != nil && v.cached(len(v.prompts)) {
		read /= 1000
	}
	in, out := io.Pipe()
	go func() {
		time.Sleep(promptTokens * read)
		n, each := int(body["max_tokens"].(float64)), max(1, v.each)
		for i := 0; i < n; i += each {
			if i > 0 {
				time.Sleep(time.Duration(each) * v.make)
			}
			io.WriteString(out, piece("a"))
		}
		io.WriteString(out, end+fmt.Sprintf(`data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d%s}}`+"\n\ndata: [DONE]\n\n", promptTokens, n, v.usage))
		out.Close()
	}()
	return &http.Response{StatusCode: http.StatusOK, Request: q, Body: in}, nil
}

func (v *virtual) session(t *testing.T) *session {
	v.t = t
	return &session{url: &url.URL{Scheme: "http", Host: "server", Path: "/v1"}, model: "m", client: &http.Client{Transport: v}, random: rand.New(rand.NewPCG(1, 1))}
}

// The times are ours: the prompt's ends with the first token, and n tokens take n-1 steps,
// also where a server sends several tokens in a piece.
func TestRuleTimes(t *testing.T) {
	for each, steps := range map[int]float64{1: 31, 4: 31, 8: 31} {
		synctest.Test(t, func(t *testing.T) {
			s := (&virtual{read: 10 * time.Millisecond, make: 20 * time.Millisecond, each: each}).session(t)
			g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 32, IgnoreEnd: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if g.First != time.Second || g.PromptTime != g.First || g.PromptTokens != promptTokens || g.Tokens != 32 {
				t.Errorf("%d in a piece: %+v", each, g)
			}
			if rate, _ := g.Rate(); math.Abs(rate-50) > 1e-6 || math.Abs(g.TokenTime.Seconds()-steps*0.02) > 1e-6 {
				t.Errorf("%d in a piece: %g tokens/s, want 50", each, rate)
			}
		})
	}
}

// Every request is greedy and streamed, and asks for the counts; fields that a server
// refuses are left out from then on.
func TestRuleRequests(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			v := &virtual{read: time.Millisecond, make: time.Millisecond, strict: strict}
			s := v.session(t)
			for range 2 {
				if _, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 16, IgnoreEnd: true}, nil); err != nil {
					t.Fatal(err)
				}
			}
			if want := map[bool]int{false: 2, true: 3}[strict]; len(v.bodies) != want {
				t.Errorf("strict %v: %d requests, want %d", strict, len(v.bodies), want)
			}
			body := v.bodies[len(v.bodies)-1]
			delete(body, "messages")
			want := map[string]any{"model": "m", "max_tokens": 16.0, "temperature": 0.0, "seed": 1.0, "stream": true, "stream_options": map[string]any{"include_usage": true}}
			if !strict {
				want["ignore_eos"], want["cache_prompt"] = true, false
			}
			if fmt.Sprint(body) != fmt.Sprint(want) {
				t.Errorf("strict %v: asked for %v, want %v", strict, body, want)
			}
		})
	}
}

// No two prompts that are timed begin alike, in one run or in two; the one that is shown
// is the person's own.
func TestRulePrompts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{read: time.Millisecond, make: time.Millisecond}
		s := v.session(t)
		requests := []llm.Request{
			{Prompt: "Hi", Tokens: 16, Candidates: 10}, {Prompt: "Hi", Tokens: 16}, {Prompt: "Hi", Tokens: 16},
			{Filler: 200, Tokens: 1}, {Filler: 200, Tokens: 1},
		}
		for _, r := range requests {
			if _, err := s.Generate(t.Context(), r, nil); err != nil {
				t.Fatal(err)
			}
		}
		if v.prompts[0] != "Hi" {
			t.Errorf("shown: %q", v.prompts[0])
		}
		begins := map[string]bool{}
		for i, p := range v.prompts[1:] {
			begin := p[:min(12, len(p))]
			if begins[begin] {
				t.Errorf("two prompts begin with %q", begin)
			}
			begins[begin] = true
			if r := requests[i+1]; r.Filler == 0 && !strings.HasSuffix(p, "\nHi") || r.Filler > 0 && len(strings.Fields(p)) < 2 {
				t.Errorf("%+v: the prompt is %q", r, p)
			}
		}
	})
	one, err := (&Runtime{URL: "http://server/v1"}).session()
	two, err2 := (&Runtime{URL: "http://server/v1"}).session()
	if err != nil || err2 != nil || llm.Words(one.random, 8) == llm.Words(two.random, 8) {
		t.Errorf("two runs ask the same: %v, %v", err, err2)
	}
}

// A server that counts the same tokens in every prompt does not make prompts grow without
// end.
func TestPromptsStayShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{read: time.Millisecond, make: time.Millisecond}
		s := v.session(t)
		for range 20 {
			if _, err := s.Generate(t.Context(), llm.Request{Filler: 5000, Tokens: 1}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if words := len(strings.Fields(v.prompts[len(v.prompts)-1])); words > 10_000 {
			t.Errorf("for 5000 tokens the last prompt has %d words", words)
		}
	})
}

// What a cache served is no speed of computing: by the server's own count, or, where it
// has none, because other prompts take far longer.
func TestRuleNoCache(t *testing.T) {
	const count = `,"prompt_tokens_details":{"cached_tokens":%d}`
	for _, tt := range []struct {
		name  string
		usage string
		fast  func(asked int) bool // whether a prompt is served from a cache
		asked int                  // prompts for four figures
		says  string               // of the fourth; "": it is one
		left  int                  // tokens that were computed
	}{
		{"nothing cached", fmt.Sprintf(count, 0), nil, 4, "", 100},
		{"the template's beginning", fmt.Sprintf(count, 16), nil, 4, "", 84},
		{"most of it", fmt.Sprintf(count, 90), nil, 1, "server took 90 of the prompt's 100 tokens from a cache", 0},
		{"not counted", "", nil, 4, "", 100},
		{"not counted, one served", "", func(asked int) bool { return asked == 4 }, 6, "server served a prompt from a cache, so that its speed cannot be measured: it took 1000 times as long for each token of others", 0},
		{"not counted, warm only then", "", func(asked int) bool { return asked >= 4 }, 5, "", 100},
	} {
		synctest.Test(t, func(t *testing.T) {
			v := &virtual{read: 10 * time.Millisecond, make: time.Millisecond, usage: tt.usage, cached: tt.fast}
			s := v.session(t)
			var g llm.Generation
			var err error
			for range 4 {
				if g, err = s.Generate(t.Context(), llm.Request{Filler: 64, Tokens: 1, IgnoreEnd: true}, nil); err != nil {
					break
				}
			}
			if g.PromptTokens != tt.left || len(v.prompts) != tt.asked {
				t.Errorf("%s: %d tokens computed, after %d prompts", tt.name, g.PromptTokens, len(v.prompts))
			}
			if tt.says == "" && err != nil {
				t.Errorf("%s: %v", tt.name, err)
			} else if tt.says != "" {
				says(t, tt.name, err, fault.Internal, tt.says)
			}
		})
	}
}

// Tokens that a server thought and did not send are not counted as made after the first.
func TestRuleHiddenTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := (&virtual{read: time.Millisecond, make: time.Millisecond, usage: `,"completion_tokens_details":{"reasoning_tokens":24}`}).session(t)
		g, err := s.Generate(t.Context(), llm.Request{Prompt: "Hi", Tokens: 32}, nil)
		if err != nil || g.Tokens != 8 {
			t.Errorf("%d tokens of 32, 24 of them hidden: %v", g.Tokens, err)
		}
	})
}
