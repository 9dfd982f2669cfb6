package telemetry

import "github.com/gpuplay/gpuplay/internal/hardware"

// Watched returns Sources and those that are shown alone: a Mac's have not been run on one
// yet, so that nothing is concluded from them about a lane.
func Watched(cards []hardware.Card) []Source { return append(Sources(cards), IOKit()) }

// Sources returns those that a machine may have; which of them it has, opening them
// shows. cards are the GPUs that its drivers list.
func Sources(cards []hardware.Card) []Source {
	const root = "/"
	return append(Sysfs(root, cards), NVML(), System(root), RAPL(root))
}
