package telemetry

import (
	"time"

	"github.com/gpuplay/gpuplay/internal/hardware"
)

// Watched returns Sources for Watch, which reads them as often as that, and those that are
// shown alone: a Mac's have not been run on one yet, so that nothing is concluded from them
// about a lane.
func Watched(every time.Duration, cards []hardware.Card) []Source {
	return append(sources(cards, &nvidia{every: every, watching: true}), IOKit())
}

// Sources returns those that a machine may have; which of them it has, opening them
// shows. cards are the GPUs that its drivers list.
func Sources(cards []hardware.Card) []Source { return sources(cards, NVML()) }

func sources(cards []hardware.Card, nvml Source) []Source {
	const root = "/"
	return append(Sysfs(root, cards), nvml, System(root), RAPL(root))
}
