package telemetry

import (
	"cmp"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/gpuplay/gpuplay/internal/event"
	"github.com/gpuplay/gpuplay/internal/ffi/nvml"
)

// mostProcesses is how many processes of a GPU are listed.
const mostProcesses = 256

// processes lists what computes or draws on NVIDIA's GPUs. A process that does both is
// listed once.
func (n *nvidia) processes() []Process {
	var list []Process
	for i := range n.devices {
		w := &n.devices[i]
		busy := n.busy(w)
		known := map[uint32]bool{}
		for _, running := range []func(nvml.Device, []nvml.ProcessInfo) (uint32, nvml.Return){
			n.lib.DeviceGetComputeRunningProcesses_v3, n.lib.DeviceGetGraphicsRunningProcesses_v3,
		} {
			infos := make([]nvml.ProcessInfo, mostProcesses)
			count, r := running(w.device, infos)
			if r != nvml.SUCCESS {
				continue
			}
			for _, x := range infos[:min(int(count), len(infos))] {
				if known[x.Pid] {
					continue
				}
				known[x.Pid] = true
				p := Process{Process: event.Process{PID: int(x.Pid), Busy: busy[x.Pid]}, GPU: w.card}
				if x.UsedGpuMemory != nvml.NotAvailable {
					p.Memory = positive(float64(x.UsedGpuMemory))
				}
				list = append(list, p)
			}
		}
	}
	return list
}

// busy returns how much of the time since it was called last each process has used a GPU,
// in percent: the mean of the driver's samples. The driver keeps samples of a few seconds,
// so that at first what is older than a second does not count.
func (n *nvidia) busy(w *watched) map[uint32]*float64 {
	since := cmp.Or(w.seen, uint64(time.Now().Add(-processInterval).UnixMicro()))
	samples := make([]nvml.ProcessUtilizationSample, mostProcesses)
	count, r := n.lib.DeviceGetProcessUtilization(w.device, samples, since)
	busy := map[uint32]*float64{}
	if r != nvml.SUCCESS {
		return busy
	}
	sums, counts := map[uint32]float64{}, map[uint32]float64{}
	for _, x := range samples[:min(int(count), len(samples))] {
		if x.SmUtil <= 100 { // others have been seen, of processes that end
			sums[x.Pid] += float64(x.SmUtil)
			counts[x.Pid]++
		}
		w.seen = max(w.seen, x.TimeStamp)
	}
	for pid, sum := range sums {
		mean := sum / counts[pid]
		busy[pid] = &mean
	}
	return busy
}

// owners know what the system says of processes, by their number.
type owners map[int]*owner

// owner is a process as the system sees it.
type owner struct {
	process *process.Process
	started int64 // milliseconds since 1970: a number is used again
	name    string
	user    string
	cpu     float64   // seconds of CPU time until at
	at      time.Time // zero: never

	busy     *float64 // percent of a CPU since the time before
	resident *float64 // bytes
}

// describe fills in what the system knows of processes. One that it does not know, since
// it is outside the container, or since another user's is hidden, keeps its number alone.
func (o *owners) describe(list []Process) []Process {
	now := owners{}
	for i := range list {
		p := &list[i]
		own := now[p.PID]
		if own == nil {
			if own = o.owner(p.PID); own == nil {
				continue
			}
			own.use()
			now[p.PID] = own
		}
		own.fill(&p.Process)
	}
	*o = now
	return list
}

// owner returns the process of a number, nil if there is none.
func (o owners) owner(pid int) *owner {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return nil
	}
	started, _ := p.CreateTime()
	if known := o[pid]; known != nil && known.started == started {
		return known
	}
	own := &owner{process: p, started: started}
	if words, err := p.CmdlineSlice(); err == nil {
		own.name = strings.TrimSpace(strings.Join(words, " "))
	}
	if own.name == "" {
		own.name, _ = p.Name()
	}
	own.user, _ = p.Username()
	return own
}

// fill fills in what is known of a process.
func (o *owner) fill(p *event.Process) {
	p.Name, p.User, p.CPU, p.Resident = o.name, o.user, o.busy, o.resident
}

// use reads how much of a CPU and of memory a process uses.
func (o *owner) use() {
	o.busy, o.resident = nil, nil
	if m, err := o.process.MemoryInfo(); err == nil {
		o.resident = positive(float64(m.RSS))
	}
	t, err := o.process.Times()
	if err != nil {
		return
	}
	cpu, at := t.User+t.System, time.Now()
	if !o.at.IsZero() && at.After(o.at) {
		o.busy = rounded(100 * max(0, cpu-o.cpu) / at.Sub(o.at).Seconds())
	}
	o.cpu, o.at = cpu, at
}
