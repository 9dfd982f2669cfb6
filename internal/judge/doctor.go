package judge

import (
	"fmt"

	"github.com/gpuplay/gpuplay/internal/record"
	"github.com/gpuplay/gpuplay/internal/unit"
)

// doctorSentences say what the checks come to.
func doctorSentences(r *record.Run) []string {
	count := func(s record.Status, noun string) (n int, text string) {
		for _, c := range r.Checks {
			if c.Status == s {
				n++
			}
		}
		return n, unit.Plural(n, noun)
	}
	failed, broken := count(record.Failed, "thing")
	warned, warnings := count(record.Warning, "warning")
	switch {
	case failed > 0 && warned > 0:
		return []string{fmt.Sprintf("%s must be fixed (✗); %s (!).", broken, warnings)}
	case failed > 0:
		return []string{fmt.Sprintf("%s must be fixed (✗).", broken)}
	case warned == 1:
		return []string{"A race can run; 1 thing limits or changes its results."}
	case warned > 1:
		return []string{fmt.Sprintf("A race can run; %d things limit or change its results.", warned)}
	}
	return []string{"A race can run; nothing was found that limits it."}
}
