package llamacpp

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/plain"
	"github.com/gpuplay/gpuplay/internal/process"
)

// serverLog reads a server's log as it is written and keeps its end. No figure is taken
// from it, only what neither /props nor --list-devices tells: how many layers went to the
// GPU and how large the buffers are, which prove that a GPU lane is one, and whether a chat
// template was to blame for an error. A log of another form leaves all of it unknown.
type serverLog struct {
	trace io.Writer // gets a copy; may be nil

	mu       sync.Mutex
	lines    []string // the last ones
	layers   *int
	total    *int
	buffers  map[string]float64 // MiB by the buffer type's name: "Vulkan0", "CPU_Mapped"
	template bool               // an error is one of the chat template
}

const keptLines = 200

// read reads until the log ends, whatever it holds.
func (l *serverLog) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			l.add(line)
		}
		if err != nil {
			return
		}
	}
}

func (l *serverLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trace != nil {
		io.WriteString(l.trace, line)
	}
	l.lines = append(l.lines, line)
	if over := len(l.lines) - keptLines; over > 0 {
		l.lines = l.lines[over:]
	}
	// common_chat_templates_init: error: parser: …   (chat.cpp)
	// chat template parsing error: …   (server-context.cpp)
	if lower := strings.ToLower(line); strings.Contains(lower, "error") && (strings.Contains(lower, "chat template") || strings.Contains(lower, "chat_template")) {
		l.template = true
	}
	// load_tensors: offloaded 19/19 layers to GPU   (llama-model.cpp)
	if _, rest, ok := strings.Cut(line, "offloaded "); ok {
		var on, of int
		if n, _ := fmt.Sscanf(rest, "%d/%d layers to GPU", &on, &of); n == 2 {
			l.layers, l.total = &on, &of
		}
	}
	// load_tensors:      Vulkan0 model buffer size =   235.16 MiB, and the same of
	// KV, output and compute buffers   (llama-model.cpp, llama-kv-cache.cpp, llama-context.cpp)
	if before, rest, ok := strings.Cut(line, " buffer size = "); ok {
		var mib float64
		_, named, _ := strings.Cut(before, ": ")
		words := strings.Fields(named)
		if n, _ := fmt.Sscanf(rest, "%f MiB", &mib); n == 1 && len(words) >= 2 {
			if l.buffers == nil {
				l.buffers = map[string]float64{}
			}
			l.buffers[words[0]] += mib
		}
	}
}

// memory returns the bytes in buffers of a device, "CPU" or a GPU's name; nil
// when the log does not tell.
func (l *serverLog) memory(device string) *int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, found := 0.0, false
	for name, mib := range l.buffers {
		if name == device || strings.HasPrefix(name, device+"_") { // CPU_Mapped, CPU_REPACK
			sum, found = sum+mib, true
		}
	}
	if !found {
		return nil
	}
	bytes := int64(sum * (1 << 20))
	return &bytes
}

func (l *serverLog) offloaded() (layers, total *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.layers, l.total
}

// badTemplate reports whether the server could not use the model's chat template.
func (l *serverLog) badTemplate() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.template
}

// words returns the line that says most about a server's end.
func (l *serverLog) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return lastWords(strings.Join(l.lines, ""))
}

// lastWords returns a log's first line of level E, what follows from it being of
// less use, or else its last line, without the time stamp before it.
func lastWords(log string) string {
	last := ""
	for line := range strings.Lines(log) {
		line = plain.Line(strings.TrimSpace(line))
		if _, message, ok := strings.Cut(line, " E "); ok && strings.Trim(line[:strings.Index(line, " E ")], "0123456789.") == "" {
			return clip(message)
		}
		if line != "" {
			last = line
		}
	}
	return clip(last)
}

func clip(line string) string {
	if runes := []rune(line); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return line
}

// ended says how a program of llama.cpp ended and quotes its last words. state is nil
// when it did not even start.
func ended(doing string, state *os.ProcessState, words string) *fault.Error {
	e := &fault.Error{Code: fault.Crashed}
	var sig syscall.Signal
	if state != nil {
		sig = process.Signal(state)
	}
	switch {
	case sig == syscall.SIGILL:
		e.Message = fmt.Sprintf("llama.cpp ended by signal %d (%v) while %s: it was built for a CPU with more instruction sets than this one has", int(sig), sig, doing)
		return e.With(fault.Remedy{Text: "{} builds one for this machine", Command: []string{"gpuplay", "setup", "llama.cpp"}, Param: "from-source"})
	case sig == syscall.SIGKILL:
		e.Message = fmt.Sprintf("llama.cpp was killed while %s", doing)
		e.Remedies = fault.Remedies{{Text: "the system kills a process when memory runs out: try a smaller model"}, fault.Change("ctx", "a smaller {}")}
	case sig != 0:
		e.Message = fmt.Sprintf("llama.cpp ended by signal %d (%v) while %s", int(sig), sig, doing)
	case state == nil:
		e.Code, e.Message = fault.Unavailable, fmt.Sprintf("llama.cpp did not start, for %s", doing)
	default:
		e.Message = fmt.Sprintf("llama.cpp ended with exit code %d while %s", state.ExitCode(), doing)
	}
	switch lower := strings.ToLower(words); {
	case strings.Contains(lower, "out of memory"), strings.Contains(lower, "failed to allocate"):
		e.Code, e.Remedies = fault.OutOfMemory, fault.Remedies{{Text: "try a smaller model"}, fault.Change("ngl", "fewer layers on the GPU with {}"), fault.Change("ctx", "a smaller {}")}
	case strings.Contains(lower, "unknown model architecture"):
		e.Remedies = fault.Remedies{setup("a newer llama.cpp may know it")}
	}
	if words != "" {
		e.Message += fmt.Sprintf(": “%s”", words)
	}
	return e
}
