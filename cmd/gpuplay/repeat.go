package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/bench"
	"github.com/gpuplay/gpuplay/internal/judge"
	"github.com/gpuplay/gpuplay/internal/matrix"
	"github.com/gpuplay/gpuplay/internal/record"
)

// unrepeated are flags that change nothing about what is measured, with whether they
// take a value.
var unrepeated = map[string]bool{
	"--output": true, "-o": true, "--format": true, "-f": true, "--plot": true, "--resume": true, "--time": true, "--timeout": true, "--tag": true,
	"--python": true, "--llama-cpp": true, "--model-dir": true,
	"--quiet": false, "-q": false, "--verbose": false, "--json": false, "--no-reference": false, "--no-store": false, "--yes": false,
}

// repeating returns the command that measures the same again, as short as it can be:
// without where its result went and how long it was to take, and with the size that a
// race chose for itself. Of paths only the last part is left, since a card is made to be
// shown to others.
func repeating(r *record.Run) string {
	words := []string{"gpuplay"}
	if len(r.Command) > 1 {
		words = append(words, repeated(r.Command[1:])...)
	}
	if name := strings.Fields(judge.Command(r)); !slices.Contains(words, name[0]) {
		words = slices.Insert(words, 1, name...)
	}
	if len(r.Command) == 0 && r.Tokens != nil && r.Tokens.Model.Ref != "" {
		words = append(words, shareable(r.Tokens.Model.Ref))
	}
	if (r.Kind == record.Race || r.Kind == record.MatMul) && len(r.Results) > 0 {
		words = append(words, product(r, words)...)
	}
	return commandLine{}.Command(words)
}

// repeated returns the words of a command that say what was measured.
func repeated(command []string) []string {
	var words []string
	for i := 0; i < len(command); i++ {
		word := command[i]
		name, value, joined := strings.Cut(word, "=")
		takes, drop := unrepeated[name]
		switch {
		case !drop && len(word) > 2 && unrepeated[word[:2]]: // -orace.json
		case !drop && joined:
			words = append(words, name+"="+shareable(value))
		case !drop:
			words = append(words, shareable(word))
		case takes && !joined:
			i++
		}
	}
	if i := slices.Index(words, "--dtype"); i >= 0 && i+1 < len(words) && words[i+1] == string(matrix.Float32) { // which is the usual one
		words = slices.Delete(words, i, i+2)
	}
	return words
}

// shareable returns a path without the folders that it is in.
func shareable(word string) string {
	if !strings.HasPrefix(word, "-") && (filepath.IsAbs(word) || strings.HasPrefix(word, "/") || strings.HasPrefix(word, "~") || strings.HasPrefix(word, ".") || strings.Contains(word, `\`)) {
		return filepath.Base(strings.ReplaceAll(word, `\`, "/"))
	}
	return word
}

// product returns the flags that a command lacks to measure the product of a run.
func product(r *record.Run, words []string) []string {
	has := func(flag string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return w == flag || strings.HasPrefix(w, flag+"=") })
	}
	largest := r.Results[0]
	for _, x := range r.Results {
		if x.GEMM.FLOP() > largest.GEMM.FLOP() {
			largest = x
		}
	}
	g := largest.GEMM
	var more []string
	add := func(flag, value string) {
		if !has(flag) {
			more = append(more, flag, value)
		}
	}
	if len(r.Command) == 0 && r.Kind == record.MatMul {
		add("--engine", largest.Engine)
		add("--device", largest.Device.API)
		if largest.Protocol == bench.Classic {
			add("--protocol", string(bench.Classic))
		}
	}
	switch {
	case has("--m") || has("--n") || has("--k"):
	case g.M == g.N && g.N == g.K:
		add("--size", strconv.Itoa(g.N))
	case r.Kind == record.MatMul:
		add("--m", strconv.Itoa(g.M))
		add("--n", strconv.Itoa(g.N))
		add("--k", strconv.Itoa(g.K))
	}
	if d := judge.DType(g); d != matrix.Float32 {
		add("--dtype", string(d))
	}
	if g.Data != matrix.Random {
		add("--data", g.Data.String())
	}
	return more
}
