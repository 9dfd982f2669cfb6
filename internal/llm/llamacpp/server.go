package llamacpp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	gopsutil "github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/hardware"
	"github.com/gpuplay/gpuplay/internal/llm"
	"github.com/gpuplay/gpuplay/internal/process"
)

// A Runtime starts a llama-server for every lane.
type Runtime struct {
	Installation
	CPU     string       // the CPU's name
	GPU     *GPU         // where lanes with layers on a GPU run; nil: there is none
	NoGPU   *fault.Error // why there is none
	Env     []string     // of the servers, as Environment returns it
	Notes   []string     // caveats of every lane: what Environment has to say
	Free    int64        // bytes of main memory available; 0 when not known
	Bytes   int64        // of the model's weights; 0 when not known
	Trace   io.Writer    // if not nil, gets the servers' logs
	Retries int          // with another port, when one was taken by somebody else meanwhile; 0: 3
}

// Name returns "llama.cpp".
func (r *Runtime) Name() string { return "llama.cpp" }

// server is a llama-server with a model in its memory.
type server struct {
	facts  llm.Facts
	url    string
	key    string // of this server alone, so that nobody else on the machine uses it, nor we another's
	client *http.Client
	cmd    *exec.Cmd
	log    *serverLog
	exited chan struct{} // closed when the process has ended and its log has been read
	once   sync.Once
	vocab  int  // tokens that the model knows
	most   int  // tokens of context that the model was made for; 0: not known
	plain  bool // the model has a chat template that cannot be used: prompts are given as they are
}

const (
	// poll is how often a loading server is asked whether it is ready; the load
	// time is known to this.
	poll = 5 * time.Millisecond
	// endLimit is how long a server may take to end when asked to.
	endLimit = 2 * time.Second
)

// Load starts a server on 127.0.0.1 and waits until it has the model.
func (r *Runtime) Load(ctx context.Context, model string, l llm.Settings) (llm.Session, error) {
	if err := r.fits(l); err != nil {
		return nil, err
	}
	retries := r.Retries
	if retries == 0 {
		retries = 3
	}
	plain := false
	for {
		port, err := freePort()
		if err != nil {
			return nil, &fault.Error{Code: fault.Internal, Message: fmt.Sprintf("no port on 127.0.0.1: %v", err)}
		}
		s, err := r.start(ctx, model, l, port, plain)
		var taken *portError
		var template *templateError
		switch {
		case errors.As(err, &taken) && retries > 0:
			retries--
			continue
		case errors.As(err, &template) && !plain:
			plain = true
			continue
		}
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// fits refuses a lane that cannot be before its server is started.
func (r *Runtime) fits(l llm.Settings) error {
	if l.Layers > 0 && r.GPU == nil {
		return r.NoGPU
	}
	// Weights are mapped from the file, so the system can do with less and read
	// them again and again; a figure of that measures the disk.
	if l.Layers == 0 && r.Free > 0 && r.Bytes > r.Free {
		return fault.Errorf(fault.OutOfMemory, "the model needs %s of memory, %s is available", gigabytes(r.Bytes), gigabytes(r.Free)).
			With(fault.Advice("a smaller model, or one with fewer bits per weight, fits")...)
	}
	return nil
}

func gigabytes(n int64) string { return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB" }

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// portError is an end for which the port is to blame, templateError one for which the
// model's chat template is.
type (
	portError     struct{ error }
	templateError struct{ error }
)

func (e *portError) Unwrap() error     { return e.error }
func (e *templateError) Unwrap() error { return e.error }

// arguments are those of llama-server for a lane. plain: without the model's own chat
// template, in whose place llama-server then has another, which is not used.
func (r *Runtime) arguments(model string, l llm.Settings, port int, plain bool) []string {
	args := []string{"-m", model, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"-np", "1", // one request at a time has the whole context
		"--no-webui", "-lv", "4", // 4 logs layers and buffers
	}
	if l.Layers == 0 {
		// -ngl 0 alone still sends large batches to the GPU (llama.cpp#12787).
		args = append(args, "--device", "none", "-ngl", "0")
	} else {
		args = append(args, "--device", r.GPU.Name, "-ngl", strconv.Itoa(l.Layers))
	}
	if l.Threads > 0 {
		args = append(args, "-t", strconv.Itoa(l.Threads))
	}
	if l.Context > 0 {
		args = append(args, "-c", strconv.Itoa(l.Context))
	}
	if plain {
		args = append(args, "--chat-template", "chatml")
	}
	return args
}

func (r *Runtime) start(ctx context.Context, model string, l llm.Settings, port int, plain bool) (*server, error) {
	s := &server{
		url:    fmt.Sprintf("http://127.0.0.1:%d", port),
		key:    rand.Text(),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}, // no proxy: it is this machine
		log:    &serverLog{trace: r.Trace},
		exited: make(chan struct{}),
		plain:  plain,
	}
	s.cmd = exec.Command(r.Server, r.arguments(model, l, port, plain)...)
	// By the environment, since arguments can be read by everybody here, and builds
	// that do not know a variable pass over it. Fitting loads the model twice and is
	// about layers that nobody named; checkpoints copy a prompt's state for later
	// requests, of which none uses it.
	s.cmd.Env = append(r.Env[:len(r.Env):len(r.Env)], "LLAMA_API_KEY="+s.key, "LLAMA_ARG_FIT=off", "LLAMA_ARG_CTX_CHECKPOINTS=0")
	process.Detach(s.cmd)
	pipe, end := io.Pipe()
	s.cmd.Stdout, s.cmd.Stderr = end, end
	s.cmd.WaitDelay = endLimit
	began := time.Now()
	wait, err := process.Start(s.cmd)
	if err != nil {
		return nil, &fault.Error{Code: fault.Unavailable, Message: fmt.Sprintf("%s did not start: %v", r.Server, err)}
	}
	read := make(chan struct{})
	go func() {
		s.log.read(pipe)
		close(read)
	}()
	go func() {
		wait()
		end.Close()
		<-read // only now is the log's end known, which says why
		close(s.exited)
	}()
	if err := s.ready(ctx, port); err != nil {
		s.Close()
		return nil, err
	}
	s.facts = llm.Facts{Load: time.Since(began), Runtime: "llama.cpp " + r.Version, Threads: l.Threads, Context: l.Context}
	if err := s.ask(ctx, model); err != nil {
		s.Close()
		return nil, err
	}
	if !s.plain {
		// Some templates are only found to be unusable when they are used.
		if _, err := s.template(ctx, "Hi"); err != nil && ctx.Err() == nil {
			s.plain = true
		}
	}
	if ctx.Err() != nil {
		s.Close()
		return nil, ctx.Err()
	}
	r.describe(s, l)
	return s, nil
}

// ready waits until the server has its model.
func (s *server) ready(ctx context.Context, port int) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.exited:
			err := ended("loading the model", s.cmd.ProcessState, s.log.words())
			if s.log.badTemplate() {
				return &templateError{err}
			}
			if l, taken := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); taken != nil {
				return &portError{err}
			} else {
				l.Close()
			}
			return err
		case <-tick.C:
		}
		var health struct{ Status string }
		if status, err := s.get(ctx, "/health", &health); err == nil && status == http.StatusOK {
			return nil
		}
	}
}

// get reads a JSON answer.
func (s *server) get(ctx context.Context, path string, into any) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(resp.Body).Decode(into)
}

// ask reads what the server knows of itself and makes sure that it is ours.
func (s *server) ask(ctx context.Context, model string) error {
	var props struct {
		Defaults struct {
			Context int `json:"n_ctx"`
		} `json:"default_generation_settings"`
		Path string `json:"model_path"`
	}
	status, err := s.get(ctx, "/props", &props)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fault.Errorf(fault.Internal, "llama-server's /props is not understood: %v", err).With(setup("a newer llama.cpp"))
	case status != http.StatusOK || props.Path != model:
		return &portError{&fault.Error{Code: fault.Internal, Message: fmt.Sprintf("%s is another server: it has model %q", s.url, props.Path)}}
	}
	if props.Defaults.Context > 0 {
		s.facts.Context = props.Defaults.Context
	}
	var models struct {
		Data []struct {
			Meta struct {
				Vocab   int `json:"n_vocab"`
				Context int `json:"n_ctx_train"`
			} `json:"meta"`
		} `json:"data"`
	}
	if _, err := s.get(ctx, "/v1/models", &models); err == nil && len(models.Data) > 0 {
		s.vocab, s.most = models.Data[0].Meta.Vocab, models.Data[0].Meta.Context
	}
	return ctx.Err()
}

// describe fills in the lane's device and what proves that the work is there.
func (r *Runtime) describe(s *server, l llm.Settings) {
	f := &s.facts
	f.Notes = append(f.Notes, r.Notes...)
	if s.plain {
		f.Notes = append(f.Notes, "the model's chat template cannot be used by llama.cpp: the prompt is given without it")
	}
	if l.Layers == 0 {
		f.Device = hardware.Device{ID: "cpu", Name: r.CPU, Kind: hardware.CPU, API: "cpu", Library: "llama.cpp", Version: r.Version}
		f.Memory = s.log.memory("CPU")
		return
	}
	f.Device = r.GPU.Device
	f.Layers, f.Total = s.log.offloaded()
	f.Memory = s.log.memory(r.GPU.Name)
	switch {
	case f.Layers == nil:
		f.Notes = append(f.Notes, "llama.cpp did not say how many layers are on the GPU")
	case *f.Layers == 0:
		f.Device.Kind = hardware.CPU
		f.Notes = append(f.Notes, "not on the GPU: llama.cpp put no layer there")
	}
}

func (s *server) Facts() llm.Facts { return s.facts }

// Close ends the server and what it has started.
func (s *server) Close() error {
	s.once.Do(func() {
		s.client.CloseIdleConnections()
		select {
		case <-s.exited:
			return
		default:
		}
		process.Interrupt(s.cmd.Process)
		select {
		case <-s.exited:
		case <-time.After(endLimit):
			process.Kill(s.cmd.Process)
			<-s.exited
		}
	})
	return nil
}

// settle waits until the server uses no CPU time any more: llama.cpp's threads
// spin for a while after a request and would take their cores from the next lane.
func (s *server) settle(ctx context.Context) {
	const (
		window = 20 * time.Millisecond // the system counts CPU time in steps of 10 ms
		limit  = time.Second
	)
	p, err := gopsutil.NewProcess(int32(s.cmd.Process.Pid))
	if err != nil {
		return
	}
	used := func() float64 {
		t, err := p.TimesWithContext(ctx)
		if err != nil {
			return 0
		}
		return t.User + t.System
	}
	before := used()
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		time.Sleep(window)
		now := used()
		if now-before < 0.005 {
			return
		}
		before = now
	}
}

// died reports whether the server is gone, or goes within a moment, and why.
func (s *server) died(doing string) error {
	select {
	case <-s.exited:
		words := s.log.words()
		return ended(doing, s.cmd.ProcessState, strings.TrimSpace(words))
	case <-time.After(endLimit): // its connection ends before its process
		return nil
	}
}
