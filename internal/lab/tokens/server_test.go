package tokens

import (
	"testing"

	"github.com/gpuplay/gpuplay/internal/fault"
	"github.com/gpuplay/gpuplay/internal/lab"
	"github.com/gpuplay/gpuplay/internal/llm/openai"
	"github.com/gpuplay/gpuplay/internal/model"
)

// A server decides on its layers, threads and context itself, so that it is one lane, and
// what it would ignore is refused. The sensors here are read only if it is here.
func TestServer(t *testing.T) {
	o := options
	o.Runtime, o.URL = model.OpenAI, "http://192.0.2.1:8000/v1"
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	for host, url := range map[string]string{"192.0.2.1:8000": o.URL, "": "http://127.0.0.1:8000/v1"} {
		o.URL = url
		if got := o.remote(t.Context(), lab.Deps{}); got != host {
			t.Errorf("%s is at %q, want %q", url, got, host)
		}
	}
	lanes := o.lanes(chosen{Runtime: &openai.Runtime{}}, model.Model{Context: 512})
	if len(lanes) != 1 || lanes[0].ID != "openai/server" || lanes[0].Settings.Threads != 0 || lanes[0].Settings.Layers != 0 || lanes[0].Settings.Context != 512 {
		t.Errorf("lanes %+v", lanes)
	}
	for says, change := range map[string]func(*Options){
		"the server decides where the layers are": func(o *Options) { o.Layers = []int{0} },
		"the server decides on its threads":       func(o *Options) { o.Threads = 2 },
		"the server decides on its context":       func(o *Options) { o.Context = 2048 },
		"openai chooses the GPU itself":           func(o *Options) { o.Device = "cuda:1" },
		"which server? its address is missing":    func(o *Options) { o.URL = "" },
		"ollama does not use a server":            func(o *Options) { o.Runtime = model.Ollama },
	} {
		o := o
		change(&o)
		if err := o.Check(); err == nil || err.Error() != says || fault.From(err).Code != fault.Invalid {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
