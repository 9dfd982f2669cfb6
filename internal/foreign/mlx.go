package foreign

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/gpuplay/gpuplay/internal/record"
)

var (
	// trial is a line of mlx_lm.benchmark (mlx_lm/benchmark.py), before it the line that
	// says what is timed.
	trial  = regexp.MustCompile(`(?m)^Trial [0-9]+:\s+prompt_tps=([0-9.]+), generation_tps=([0-9.]+), peak_memory=[0-9.]+`)
	timing = regexp.MustCompile(`(?m)^Timing with prompt_tokens=([0-9]+), generation_tokens=([0-9]+), batch_size=([0-9]+)`)
	// said are the lines at the end of mlx_lm.generate (mlx_lm/generate.py).
	said = regexp.MustCompile(`(?m)^(Prompt|Generation): ([0-9]+) tokens, ([0-9.]+) tokens-per-sec`)
)

// mlxLM reads what mlx_lm.benchmark or mlx_lm.generate prints, which names neither the
// model nor the machine. The text of a model's answer may hold such lines too: the last
// ones count, which are mlx-lm's own.
func mlxLM(text []byte, r *record.Run) error {
	f := r.Foreign
	f.Tool = "mlx-lm"
	prompt, generation := record.Series{Name: "prompt", Unit: tokens}, record.Series{Name: "generation", Unit: tokens}
	add := func(s *record.Series, figure []byte) error {
		x, err := strconv.ParseFloat(string(figure), 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", s.Name, figure)
		}
		s.Values = append(s.Values, x)
		return nil
	}
	if trials := trial.FindAllSubmatch(text, -1); len(trials) > 0 {
		if t := timing.FindSubmatch(text); t != nil {
			prompt.Name, generation.Name = fmt.Sprintf("prompt of %s tokens", t[1]), fmt.Sprintf("generation of %s tokens", t[2])
			if string(t[3]) != "1" {
				prompt.Name, generation.Name = prompt.Name+", batch of "+string(t[3]), generation.Name+", batch of "+string(t[3])
			}
		}
		for _, m := range trials {
			if err := add(&prompt, m[1]); err != nil {
				return err
			}
			if err := add(&generation, m[2]); err != nil {
				return err
			}
		}
		f.Series = []record.Series{prompt, generation}
		return nil
	}
	lines := said.FindAllSubmatch(text, -1)
	for _, m := range lines[max(0, len(lines)-2):] {
		s := &prompt
		if string(m[1]) == "Generation" {
			s = &generation
		}
		s.Name = fmt.Sprintf("%s of %s tokens", s.Name, m[2])
		if err := add(s, m[3]); err != nil {
			return err
		}
		f.Series = append(f.Series, *s)
	}
	return nil
}
