package nvml

import (
	"encoding/binary"
	"math"
	"runtime"
)

// The sensors of a GPU: nvml.h of version 13, and nvidia-ml-py 13.615.71, which has the
// same constants and structures.

// The values of nvmlReturn_t that reading sensors tells apart.
const ERROR_INSUFFICIENT_SIZE Return = 7

// ClockType is nvmlClockType_t.
type ClockType int32

const (
	CLOCK_SM  ClockType = 1
	CLOCK_MEM ClockType = 2
)

// TEMPERATURE_GPU is the one value of nvmlTemperatureSensors_t.
const TEMPERATURE_GPU int32 = 0

// Temperature is nvmlTemperature_v1_t.
type Temperature struct {
	Version     uint32 // Temperature_v1
	SensorType  int32
	Temperature int32 // degrees Celsius
}

// Temperature_v1 is nvmlTemperature_v1: the size of the structure, and its version.
const Temperature_v1 = 12 | 1<<24

// The bits of nvmlDeviceGetCurrentClocksEventReasons. Those of idling, of a limit of the
// board and of reliability hold no clock down that a program could have.
const (
	ClocksEventReasonApplicationsClocksSetting = 0x2
	ClocksEventReasonSwPowerCap                = 0x4
	ClocksThrottleReasonHwSlowdown             = 0x8
	ClocksEventReasonSyncBoost                 = 0x10
	ClocksEventReasonSwThermalSlowdown         = 0x20
	ClocksThrottleReasonHwThermalSlowdown      = 0x40
	ClocksThrottleReasonHwPowerBrakeSlowdown   = 0x80
	ClocksEventReasonDisplayClockSetting       = 0x100
)

// The fields that nvmlDeviceGetFieldValues is asked for. Those of NVLink need a link as
// their scope; AllLinks stands for all.
const (
	FI_DEV_NVLINK_THROUGHPUT_DATA_TX = 138 // KiB
	FI_DEV_NVLINK_THROUGHPUT_DATA_RX = 139 // KiB
	FI_DEV_PCIE_COUNT_TX_BYTES       = 197
	FI_DEV_PCIE_COUNT_RX_BYTES       = 198

	AllLinks = math.MaxUint32
)

// FieldValue is nvmlFieldValue_t.
type FieldValue struct {
	FieldId, ScopeId uint32
	Timestamp        int64 // microseconds since 1970
	LatencyUsec      int64
	ValueType        int32 // nvmlValueType_t
	NvmlReturn       Return
	Value            [8]byte // a union
}

// Float returns the value of whatever type; ok is false where there is none.
func (v FieldValue) Float() (value float64, ok bool) {
	if v.NvmlReturn != SUCCESS {
		return 0, false
	}
	bits := binary.NativeEndian.Uint64(v.Value[:])
	switch v.ValueType {
	case 0: // NVML_VALUE_TYPE_DOUBLE
		return math.Float64frombits(bits), true
	case 1: // UNSIGNED_INT
		return float64(uint32(bits)), true
	case 2: // UNSIGNED_LONG
		if runtime.GOOS == "windows" {
			return float64(uint32(bits)), true
		}
		return float64(bits), true
	case 3: // UNSIGNED_LONG_LONG
		return float64(bits), true
	case 4: // SIGNED_LONG_LONG
		return float64(int64(bits)), true
	case 5: // SIGNED_INT
		return float64(int32(bits)), true
	case 6: // UNSIGNED_SHORT
		return float64(uint16(bits)), true
	}
	return 0, false
}

// Memory_v2 is nvmlMemory_v2_t, in bytes. What the driver keeps for itself is Reserved, and
// not part of Used, as in nvidia-smi.
type Memory_v2 struct {
	Version                     uint32 // Memory2
	Total, Reserved, Free, Used uint64
}

// Memory2 is nvmlMemory_v2: the size of the structure, and its version.
const Memory2 = 40 | 2<<24

// NotAvailable is NVML_VALUE_NOT_AVAILABLE of a value of 64 bits: Windows keeps the memory
// of processes to itself.
const NotAvailable = math.MaxUint64

// ProcessInfo is nvmlProcessInfo_t, which versions 2 and 3 of the function fill.
type ProcessInfo struct {
	Pid                              uint32
	UsedGpuMemory                    uint64 // bytes, or NotAvailable
	GpuInstanceId, ComputeInstanceId uint32
}

// ProcessUtilizationSample is nvmlProcessUtilizationSample_t: percent of the GPU's time
// since the sample before.
type ProcessUtilizationSample struct {
	Pid                               uint32
	TimeStamp                         uint64 // microseconds since 1970
	SmUtil, MemUtil, EncUtil, DecUtil uint32
}

// sensors are the functions that read sensors.
type sensors struct {
	powerUsage               func(Device, *uint32) Return
	enforcedPowerLimit       func(Device, *uint32) Return
	totalEnergyConsumption   func(Device, *uint64) Return
	clockInfo                func(Device, ClockType, *uint32) Return
	temperatureV             func(Device, *Temperature) Return
	temperature              func(Device, int32, *uint32) Return
	clocksEventReasons       func(Device, *uint64) Return
	clocksThrottleReasons    func(Device, *uint64) Return
	fieldValues              func(Device, int32, *FieldValue) Return
	computeRunningProcesses  func(Device, *uint32, *ProcessInfo) Return
	graphicsRunningProcesses func(Device, *uint32, *ProcessInfo) Return
	processUtilization       func(d Device, samples *ProcessUtilizationSample, n *uint32, since uint64) Return
	memoryInfo_v2            func(Device, *Memory_v2) Return
	maxClockInfo             func(Device, ClockType, *uint32) Return
}

func (s *sensors) symbols() map[string]any {
	return map[string]any{
		"nvmlDeviceGetPowerUsage":                   &s.powerUsage,
		"nvmlDeviceGetEnforcedPowerLimit":           &s.enforcedPowerLimit,
		"nvmlDeviceGetTotalEnergyConsumption":       &s.totalEnergyConsumption,
		"nvmlDeviceGetClockInfo":                    &s.clockInfo,
		"nvmlDeviceGetTemperatureV":                 &s.temperatureV,
		"nvmlDeviceGetTemperature":                  &s.temperature,
		"nvmlDeviceGetCurrentClocksEventReasons":    &s.clocksEventReasons,
		"nvmlDeviceGetCurrentClocksThrottleReasons": &s.clocksThrottleReasons,
		"nvmlDeviceGetFieldValues":                  &s.fieldValues,
		"nvmlDeviceGetComputeRunningProcesses_v3":   &s.computeRunningProcesses,
		"nvmlDeviceGetGraphicsRunningProcesses_v3":  &s.graphicsRunningProcesses,
		"nvmlDeviceGetProcessUtilization":           &s.processUtilization,
		"nvmlDeviceGetMemoryInfo_v2":                &s.memoryInfo_v2,
		"nvmlDeviceGetMaxClockInfo":                 &s.maxClockInfo,
	}
}

// DeviceGetPowerUsage returns the milliwatts that a GPU and its memory take: the average
// of the last second on Ampere and newer ones, except for the GA100.
func (l *Library) DeviceGetPowerUsage(d Device) (uint32, Return) { return value(l.powerUsage, d) }

// DeviceGetEnforcedPowerLimit returns the milliwatts that the driver lets a GPU take, the
// lowest of all limits.
func (l *Library) DeviceGetEnforcedPowerLimit(d Device) (uint32, Return) {
	return value(l.enforcedPowerLimit, d)
}

// DeviceGetTotalEnergyConsumption returns the millijoules that a GPU has taken since its
// driver was loaded: Volta and newer ones.
func (l *Library) DeviceGetTotalEnergyConsumption(d Device) (uint64, Return) {
	return value(l.totalEnergyConsumption, d)
}

// DeviceGetClockInfo returns a current clock in MHz.
func (l *Library) DeviceGetClockInfo(d Device, of ClockType) (uint32, Return) {
	return valueOf(l.clockInfo, d, of)
}

// DeviceGetTemperatureV returns a temperature in degrees Celsius.
func (l *Library) DeviceGetTemperatureV(d Device, sensor int32) (int32, Return) {
	if l.temperatureV == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	v := Temperature{Version: Temperature_v1, SensorType: sensor}
	r := l.temperatureV(d, &v)
	return v.Temperature, r
}

// DeviceGetTemperature is DeviceGetTemperatureV in drivers that lack it; newer ones will
// lack this one.
func (l *Library) DeviceGetTemperature(d Device, sensor int32) (uint32, Return) {
	return valueOf(l.temperature, d, sensor)
}

// DeviceGetCurrentClocksEventReasons returns why a GPU's clocks are what they are, as
// bits.
func (l *Library) DeviceGetCurrentClocksEventReasons(d Device) (uint64, Return) {
	return value(l.clocksEventReasons, d)
}

// DeviceGetCurrentClocksThrottleReasons is DeviceGetCurrentClocksEventReasons in drivers
// before 535.
func (l *Library) DeviceGetCurrentClocksThrottleReasons(d Device) (uint64, Return) {
	return value(l.clocksThrottleReasons, d)
}

// DeviceGetFieldValues fills in the values of fields, each with a return value of its own.
func (l *Library) DeviceGetFieldValues(d Device, values []FieldValue) Return {
	if l.fieldValues == nil {
		return ERROR_FUNCTION_NOT_FOUND
	}
	return l.fieldValues(d, int32(len(values)), &values[0])
}

// DeviceGetComputeRunningProcesses_v3 fills in the processes that have a compute context
// on a GPU, and returns how many there are; with ERROR_INSUFFICIENT_SIZE these are more
// than infos has room for.
func (l *Library) DeviceGetComputeRunningProcesses_v3(d Device, infos []ProcessInfo) (uint32, Return) {
	return running(l.computeRunningProcesses, d, infos)
}

// DeviceGetGraphicsRunningProcesses_v3 is DeviceGetComputeRunningProcesses_v3 for those
// that have a graphics context.
func (l *Library) DeviceGetGraphicsRunningProcesses_v3(d Device, infos []ProcessInfo) (uint32, Return) {
	return running(l.graphicsRunningProcesses, d, infos)
}

func running(f func(Device, *uint32, *ProcessInfo) Return, d Device, infos []ProcessInfo) (uint32, Return) {
	if f == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	n := uint32(len(infos))
	r := f(d, &n, &infos[0])
	return n, r
}

// DeviceGetProcessUtilization fills in how much processes have used a GPU in samples that
// are later than a time, in microseconds since 1970, and returns how many there are.
// ERROR_NOT_FOUND says that no process has used it.
func (l *Library) DeviceGetProcessUtilization(d Device, samples []ProcessUtilizationSample, since uint64) (uint32, Return) {
	if l.processUtilization == nil {
		return 0, ERROR_FUNCTION_NOT_FOUND
	}
	n := uint32(len(samples))
	r := l.processUtilization(d, &samples[0], &n, since)
	return n, r
}

// DeviceGetMemoryInfo_v2 returns a GPU's own memory, with that of the driver apart.
func (l *Library) DeviceGetMemoryInfo_v2(d Device) (Memory_v2, Return) {
	if l.memoryInfo_v2 == nil {
		return Memory_v2{}, ERROR_FUNCTION_NOT_FOUND
	}
	v := Memory_v2{Version: Memory2}
	r := l.memoryInfo_v2(d, &v)
	return v, r
}

// DeviceGetMaxClockInfo returns the highest clock in MHz.
func (l *Library) DeviceGetMaxClockInfo(d Device, of ClockType) (uint32, Return) {
	return valueOf(l.maxClockInfo, d, of)
}
