package lab

import (
	"github.com/gpuplay/gpuplay/internal/hub"
	"github.com/gpuplay/gpuplay/internal/model"
)

// Models is where language models are.
type Models struct {
	Places model.Places // folders on this machine
	Hub    *hub.Client  // where others can be downloaded from
	Ollama string       // the address of an Ollama server that runs; empty: the usual one
	Key    string       // OPENAI_API_KEY: of a server with OpenAI's interface; "": none
}
