package openai

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/llm"
)

// request is what /chat/completions is asked.
type request struct {
	Model         string         `json:"model"`
	Messages      []message      `json:"messages"`
	Tokens        int            `json:"max_tokens"`
	Temperature   float64        `json:"temperature"` // 0: greedy
	Seed          int            `json:"seed"`
	Stream        bool           `json:"stream"`
	StreamOptions map[string]any `json:"stream_options"`
	*extras
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// extras are fields of llama-server and vLLM, which other servers pass over or refuse.
type extras struct {
	IgnoreEnd   bool `json:"ignore_eos"`
	CachePrompt bool `json:"cache_prompt"` // false: llama-server computes every prompt
}

// event is what a server streams.
type event struct {
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"` // llama-server, LM Studio, vLLM up to 0.11
			Thinking  string `json:"reasoning"`         // Ollama, vLLM, mlx_lm.server
		} `json:"delta"`
		Finish  string          `json:"finish_reason"`
		Message json.RawMessage `json:"message"` // of an answer that is not streamed
	} `json:"choices"`
	Usage   *usage `json:"usage"`
	Timings *struct {
		Cached int `json:"cache_n"`
	} `json:"timings"` // llama-server's
	Error *apiError `json:"error"`
}

// usage counts tokens. Those of the details are part of the others.
type usage struct {
	Prompt        int `json:"prompt_tokens"`
	Tokens        int `json:"completion_tokens"`
	PromptDetails *struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	TokenDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// Generate sends a prompt and reads the answer as it is made. A long prompt that does not
// fit into the server's context is halved.
func (s *session) Generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (g llm.Generation, err error) {
	counted := false
	for {
		g, counted, err = s.generate(ctx, r, each)
		if r.Filler < 2 || !errors.Is(err, fault.Invalid) {
			break
		}
		r.Filler /= 2
	}
	if err == nil && r.Filler > 0 {
		if !counted {
			err = s.uncached(ctx, r, &g)
		}
		s.perWord = min(max(fewest, float64(g.PromptTokens)/float64(s.words(r.Filler))), most)
	}
	return g, err
}

// generate sends one prompt. counted: the server says what it took from a cache.
func (s *session) generate(ctx context.Context, r llm.Request, each func(llm.Piece)) (g llm.Generation, counted bool, err error) {
	q := request{
		Model: s.model, Messages: []message{{"user", s.prompt(r)}}, Tokens: r.Tokens, Seed: 1,
		Stream: true, StreamOptions: map[string]any{"include_usage": true}, extras: &extras{IgnoreEnd: r.IgnoreEnd},
	}
	if s.plain {
		q.extras = nil
	}
	body, err := json.Marshal(q)
	if err != nil {
		return g, false, err
	}
	sent := time.Now()
	response, err := s.do(ctx, http.MethodPost, "chat/completions", body)
	if err != nil {
		return g, false, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		err := s.refused(response)
		switch {
		case errors.Is(err, errNoSuchPath):
			return g, false, fault.Errorf(fault.Unavailable, "%s has no chat completions at %s", s.url.Host, s.url.JoinPath("chat/completions")).With(rightURL())
		case errors.Is(err, fault.Invalid) && !s.plain: // perhaps for the fields that OpenAI does not have
			s.plain = true
			g, counted, err = s.generate(ctx, r, each)
			s.plain = err == nil
			return g, counted, err
		}
		return g, false, err
	}
	counted, err = s.stream(ctx, response, sent, &g, each)
	g.Wall = time.Since(sent)
	if err != nil {
		g.PromptTokens, g.PromptTime, g.TokenTime = 0, 0, 0 // whatever was read of it is no measurement
	}
	return g, counted, err
}

// prompt returns what is asked. The first answer, which is shown, is to the prompt
// alone; what is timed begins with a text that no cache can hold.
func (s *session) prompt(r llm.Request) string {
	switch {
	case r.Filler > 0:
		return llm.Words(s.random, s.words(r.Filler))
	case r.Candidates > 0:
		return r.Prompt
	}
	return fmt.Sprintf("%x %s\n%s", s.random.Uint32(), llm.Words(s.random, 2), r.Prompt)
}

// A word takes between fewest and most tokens with the tokenizers that are in use. A server
// that counts otherwise, perhaps the same number for every prompt, must not make prompts grow.
const fewest, most = 0.5, 16

// words returns how many words a prompt of some tokens has, by the last long one.
func (s *session) words(tokens int) int {
	return max(1, int(math.Round(float64(tokens)/cmp.Or(s.perWord, 1))))
}

// lineLimit is more than an event takes.
const lineLimit = 1 << 20

// stream reads server-sent events (one JSON object in each data line) until [DONE].
// counted: as generate has it.
func (s *session) stream(ctx context.Context, response *http.Response, sent time.Time, g *llm.Generation, each func(llm.Piece)) (counted bool, err error) {
	var (
		text     strings.Builder
		pieces   int
		last     time.Duration // when the last piece came
		bursts   int           // reads that brought a piece
		burst    int           // the read that brought the last piece
		reasoned bool
		used     *usage
		cached   = -1 // not known
		done     bool
		other    bytes.Buffer // what is no event
	)
	defer func() { g.Text = text.String() }()
	body := &reads{Reader: response.Body}
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), lineLimit)
	for lines.Scan() {
		at := time.Since(sent)
		data, ok := bytes.CutPrefix(bytes.TrimSpace(lines.Bytes()), []byte("data:"))
		if !ok {
			if other.Len() < errorLimit {
				other.Write(lines.Bytes())
			}
			continue
		}
		if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
			done = true
			break
		}
		var e event
		if json.Unmarshal(data, &e) != nil {
			return false, fault.Errorf(fault.Internal, "the stream of %s is not understood: “%s”", s.url.Host, s.quote(data))
		}
		if e.Error != nil {
			return false, fault.Errorf(fault.Crashed, "%s: %s", s.url.Host, s.quote([]byte(e.Error.Message))).With(fault.Advice("its log says more")...)
		}
		for _, c := range e.Choices {
			piece := c.Delta.Reasoning + c.Delta.Thinking + c.Delta.Content
			reasoned = reasoned || c.Delta.Reasoning+c.Delta.Thinking != ""
			if c.Finish != "" {
				g.Finish = c.Finish
			}
			if piece == "" {
				continue
			}
			if pieces++; pieces == 1 {
				g.First = at
			}
			if last = at; burst != body.n {
				burst = body.n
				bursts++
			}
			text.WriteString(piece)
			g.Tokens = pieces // until the end tells
			if each != nil {
				each(llm.Piece{Text: piece, At: at})
			}
		}
		if g.Finish != "" && g.First == 0 { // of tokens without a text, such as a part of a character
			g.First = at
		}
		if u := e.Usage; u != nil {
			used = u
			if u.PromptDetails != nil {
				cached = max(cached, u.PromptDetails.Cached)
			}
		}
		if e.Timings != nil {
			cached = max(cached, e.Timings.Cached)
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, fault.Errorf(fault.Crashed, "the answer of %s broke off: %s", s.url.Host, s.quote([]byte(err.Error())))
	case g.Finish == "" && other.Len() > 0:
		return false, s.unstreamed(response, other.Bytes())
	case !done && g.Finish == "":
		return false, fault.Errorf(fault.Crashed, "the answer of %s broke off before its end", s.url.Host).With(fault.Advice("its log says more")...)
	case used == nil || used.Prompt <= 0 || used.Tokens <= 0:
		return false, fault.Errorf(fault.Unsupported, "%s does not count the tokens of a streamed answer (usage), so there is nothing to divide by the time", s.url.Host).
			With(fault.Advice("a newer version of the server may do that")...)
	}
	return cached >= 0, s.figures(g, used, pieces, bursts, last, reasoned, cached)
}

// unstreamed says what came instead of a stream.
func (s *session) unstreamed(response *http.Response, text []byte) error {
	var whole event
	if json.Unmarshal(text, &whole) == nil {
		if whole.Error != nil {
			return fault.Errorf(fault.Crashed, "%s: %s", s.url.Host, s.quote([]byte(whole.Error.Message)))
		}
		if len(whole.Choices) > 0 && len(whole.Choices[0].Message) > 0 {
			return fault.Errorf(fault.Unsupported, "%s does not stream: the whole answer comes at once, so the time to its first token is not known", s.url.Host)
		}
	}
	if isPage(response, text) {
		return s.page()
	}
	return fault.Errorf(fault.Internal, "the stream of %s is not understood: “%s”", s.url.Host, s.quote(text))
}

// An answer whose pieces come in fewer than fewestBursts reads, or whose tokens are on average
// less than atOnce apart, was held back and sent at once. A model of a few kilobytes takes about
// 80 µs for a token on a fast CPU.
const (
	fewestBursts = 3
	atOnce       = 20 * time.Microsecond
)

// reads counts the reads that brought something.
type reads struct {
	io.Reader
	n int
}

func (r *reads) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.n++
	}
	return n, err
}

// figures turns what was read into the counts and times of a generation.
//
// A server may send several tokens in a piece, or send none for a part of a character. Of
// n tokens in c equal pieces, n·(c-1)/c come between the first piece and the last; with a
// piece for each token these are n-1 steps. The time is stretched so that it stands for
// n-1.
func (s *session) figures(g *llm.Generation, u *usage, pieces, bursts int, last time.Duration, reasoned bool, cached int) error {
	n := u.Tokens
	if !reasoned { // what was thought and not shown came before the first piece
		n = max(1, n-u.TokenDetails.Reasoning)
	}
	g.Tokens = n
	span := last - g.First
	if n >= 8 && (bursts < fewestBursts || span < time.Duration(n)*atOnce) {
		return fault.Errorf(fault.Unsupported, "%s, or a proxy before it, holds the answer back and sends all %d tokens at once, so that their speed cannot be measured", s.url.Host, n)
	}
	if n > 1 && pieces > 1 {
		g.TokenTime = time.Duration(float64(span) * float64(n-1) / float64(n) * float64(pieces) / float64(pieces-1))
	}
	g.PromptTokens, g.PromptTime = u.Prompt, g.First
	switch {
	case cached > u.Prompt/2:
		return fault.Errorf(fault.Internal, "%s took %d of the prompt's %d tokens from a cache, so that their speed cannot be measured", s.url.Host, cached, u.Prompt)
	case cached > 0: // the beginning of the chat template
		g.PromptTokens -= cached
	}
	return nil
}

// A long prompt that is this many times as fast as all others looks as if a cache had served
// it, if further prompts, which no cache holds, are not as fast. There are two of them, or up
// to ten if they take less than half a second in all: other work on the machine can make a
// prompt of a few milliseconds several times slower.
const (
	faster      = 4
	further     = 2
	furtherMost = 10
	furtherTime = time.Second / 2
)

// uncached makes sure that no cache served a long prompt of a server that does not count
// that itself. The time for each token is compared with that of the prompts before it,
// and, where it is much shorter, with that of further ones. Whatever else a machine does
// makes prompts slower, never faster.
func (s *session) uncached(ctx context.Context, r llm.Request, g *llm.Generation) error {
	pace := func(g llm.Generation) float64 { return g.First.Seconds() / float64(max(1, g.PromptTokens)) }
	served := func() bool { return len(s.paces) > 0 && pace(*g)*faster < slices.Min(s.paces) }
	spent := time.Duration(0)
	for i := 0; served() && (i < further || i < furtherMost && spent < furtherTime); i++ {
		other, _, err := s.generate(ctx, r, nil)
		if err != nil {
			return err
		}
		spent += other.Wall
		s.paces = append(s.paces, pace(other))
	}
	if served() {
		times := slices.Min(s.paces) / pace(*g)
		g.PromptTokens, g.PromptTime = 0, 0
		return fault.Errorf(fault.Internal, "%s served a prompt from a cache, so that its speed cannot be measured: it took %.0f times as long for each token of others", s.url.Host, times)
	}
	s.paces = append(s.paces, pace(*g))
	return nil
}
