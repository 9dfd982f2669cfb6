package telemetry

import "github.com/gpuplay/gpuplay/internal/hardware"

// Sources returns those that a machine may have; which of them it has, opening them
// shows. cards are the GPUs that its drivers list.
func Sources(cards []hardware.Card) []Source {
	const root = "/"
	return append(Sysfs(root, cards), NVML(), System(root), RAPL(root))
}
