package llamacpp

import (
	"slices"
	"strings"
)

// Environment returns what llama.cpp's programs inherit of an environment, and caveats
// for the lanes that they measure.
//
// Every option of llama-server is also a variable, such as LLAMA_ARG_THREADS (common/arg.cpp),
// and further variables of that prefix change how llama.cpp computes. A lane is to be
// what its settings say, so none of these is passed on; the notes name them. Variables
// of ggml's backends and of OpenMP may be needed for a GPU to work at all: these are
// passed on, and named because they may change the speed.
func Environment(env []string) (kept, notes []string) {
	var dropped []string
	for _, pair := range env {
		name, _, _ := strings.Cut(pair, "=")
		switch {
		case name == "LLAMA_API_KEY": // each server gets its own
			continue
		case strings.HasPrefix(name, "LLAMA_") && name != "LLAMA_CACHE":
			dropped = append(dropped, name)
			continue
		case slices.Contains(harmless, name):
		case strings.HasPrefix(name, "GGML_"), strings.HasPrefix(name, "OMP_"), strings.HasPrefix(name, "GOMP_"), strings.HasPrefix(name, "KMP_"):
			notes = append(notes, pair+" in the environment may change the speed")
		}
		kept = append(kept, pair)
	}
	if len(dropped) > 0 {
		notes = append(notes, "not passed on to llama.cpp: "+strings.Join(dropped, ", "))
	}
	return kept, notes
}

// harmless are variables that change no speed, or only which GPU is used, which the lane
// names: llama.cpp gives OpenMP its own number of threads.
var harmless = []string{"GGML_VK_VISIBLE_DEVICES", "GGML_NO_BACKTRACE", "OMP_NUM_THREADS"}
