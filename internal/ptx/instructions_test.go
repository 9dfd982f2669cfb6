package ptx

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gpuplay/gpuplay/internal/matrix"
)

// instruction compiles one instruction. Registers hold the bits of their type in the low
// end of 64.
func (c *compiler) instruction(st *step, op string, args []string) error {
	part := strings.Split(op, ".")
	last := part[len(part)-1]
	switch part[0] {
	case "ret":
		st.alone = func(t *thread) { t.done = true }
		return nil
	case "bra":
		p := c.p
		st.alone = func(t *thread) { t.at = p.labels[args[0]] }
		return nil
	case "bar":
		if part[1] == "warp" {
			st.together = func([]*thread) {}
		} else {
			st.barrier = true
		}
		return nil
	case "ld", "st":
		return c.memory(st, part, args)
	case "cp", "ldmatrix", "stmatrix", "mma", "wgmma", "mbarrier", "barrier", "fence", "prefetch", "setmaxnreg", "mapa":
		return c.special(st, op, part, args)
	}
	to, err := c.register(args[0])
	if err != nil {
		return err
	}
	var in []func(*thread) uint64
	for _, a := range args[1:] {
		v, err := c.value(a)
		if err != nil {
			return err
		}
		in = append(in, v)
	}
	set := func(f func(t *thread) uint64) { st.alone = func(t *thread) { t.registers[to] = f(t) } }
	binary := func(f func(a, b uint64) uint64) {
		a, b := in[0], in[1]
		set(func(t *thread) uint64 { return f(a(t), b(t)) })
	}
	narrow := func(x uint64) uint64 { // to the type's width
		if strings.HasSuffix(last, "64") {
			return x
		}
		return uint64(uint32(x))
	}
	if last == "f32" || last == "f64" {
		if f, ok := real(part, in, last == "f64"); ok {
			set(f)
			return nil
		}
	}
	switch part[0] {
	case "mov", "cvta":
		if part[0] == "mov" && last == "b16" {
			set(func(t *thread) uint64 { return uint64(uint16(in[0](t))) })
			return nil
		}
		set(func(t *thread) uint64 { return narrow(in[0](t)) })
	case "shfl": // every lane has the same number
		set(in[0])
	case "add":
		binary(func(a, b uint64) uint64 { return narrow(a + b) })
	case "sub":
		binary(func(a, b uint64) uint64 { return narrow(a - b) })
	case "mul":
		if part[1] == "wide" {
			binary(func(a, b uint64) uint64 { return uint64(uint32(a)) * uint64(uint32(b)) })
		} else {
			binary(func(a, b uint64) uint64 { return narrow(a * b) })
		}
	case "mad":
		set(func(t *thread) uint64 { return narrow(in[0](t)*in[1](t) + in[2](t)) })
	case "div":
		binary(func(a, b uint64) uint64 { return uint64(uint32(a) / uint32(b)) })
	case "rem":
		binary(func(a, b uint64) uint64 { return uint64(uint32(a) % uint32(b)) })
	case "min":
		binary(func(a, b uint64) uint64 { return min(a, b) })
	case "shl":
		binary(func(a, b uint64) uint64 { return narrow(a << b) })
	case "shr":
		binary(func(a, b uint64) uint64 { return a >> b })
	case "and":
		binary(func(a, b uint64) uint64 { return a & b })
	case "or":
		binary(func(a, b uint64) uint64 { return a | b })
	case "xor":
		binary(func(a, b uint64) uint64 { return a ^ b })
	case "bfe":
		set(func(t *thread) uint64 { return in[0](t) >> in[1](t) & (1<<in[2](t) - 1) })
	case "selp":
		set(func(t *thread) uint64 {
			if in[2](t) != 0 {
				return in[0](t)
			}
			return in[1](t)
		})
	case "setp":
		compare, ok := map[string]func(a, b uint64) bool{
			"lt": func(a, b uint64) bool { return a < b }, "ge": func(a, b uint64) bool { return a >= b },
			"eq": func(a, b uint64) bool { return a == b }, "ne": func(a, b uint64) bool { return a != b },
		}[part[1]]
		if !ok {
			return fmt.Errorf("no comparison %s", op)
		}
		set(func(t *thread) uint64 {
			ok := compare(in[0](t), in[1](t))
			if len(in) > 2 {
				ok = ok && in[2](t) != 0
			}
			return uint64(bit(ok))
		})
	case "cvt":
		f, err := conversion(part, in)
		if err != nil {
			return err
		}
		set(f)
	default:
		return fmt.Errorf("no instruction %s", op)
	}
	return nil
}

// real compiles an instruction of float32 or float64 numbers. float32 is computed in float64 and
// rounded, which for a single operation gives the same (except fma's, which is rounded twice).
func real(part []string, in []func(*thread) uint64, double bool) (func(t *thread) uint64, bool) {
	of := func(i int, t *thread) float64 {
		if double {
			return math.Float64frombits(in[i](t))
		}
		return float64(float32of(in[i](t)))
	}
	to := func(x float64) uint64 {
		if double {
			return math.Float64bits(x)
		}
		return bits32(float32(x))
	}
	compute, ok := map[string]func(t *thread) float64{
		"add": func(t *thread) float64 { return of(0, t) + of(1, t) }, "sub": func(t *thread) float64 { return of(0, t) - of(1, t) },
		"mul": func(t *thread) float64 { return of(0, t) * of(1, t) }, "div": func(t *thread) float64 { return of(0, t) / of(1, t) },
		"neg": func(t *thread) float64 { return -of(0, t) }, "abs": func(t *thread) float64 { return math.Abs(of(0, t)) },
		"sqrt": func(t *thread) float64 { return math.Sqrt(of(0, t)) },
		"fma": func(t *thread) float64 {
			if double {
				return math.FMA(of(0, t), of(1, t), of(2, t))
			}
			return of(0, t)*of(1, t) + of(2, t)
		},
		// Of NaN and a number, both return the number.
		"max": func(t *thread) float64 { return least(-of(0, t), -of(1, t), -1) }, "min": func(t *thread) float64 { return least(of(0, t), of(1, t), 1) },
	}[part[0]]
	if ok {
		return func(t *thread) uint64 { return to(compute(t)) }, true
	}
	if part[0] == "cvt" && part[1] == "rni" && len(part) == 4 && part[2] == part[3] {
		return func(t *thread) uint64 { return to(math.RoundToEven(of(0, t))) }, true
	}
	if part[0] != "setp" {
		return nil, false
	}
	compare, ok := map[string]func(a, b float64) bool{
		"lt": func(a, b float64) bool { return a < b }, "le": func(a, b float64) bool { return a <= b },
		"nan": func(a, b float64) bool { return a != a || b != b },
	}[part[1]]
	return func(t *thread) uint64 { return uint64(bit(compare(of(0, t), of(1, t)))) }, ok
}

// least returns sign times the smaller of two numbers, or the one that is no NaN.
func least(a, b, sign float64) float64 {
	if a < b || b != b {
		return sign * a
	}
	return sign * b
}

func float32of(x uint64) float32 { return math.Float32frombits(uint32(x)) }
func bits32(x float32) uint64    { return uint64(math.Float32bits(x)) }

func conversion(part []string, in []func(*thread) uint64) (func(t *thread) uint64, error) {
	round := func(d matrix.DType, x uint64) uint64 { return uint64(d.Bits16(float64(float32of(x)))) }
	switch strings.Join(part[1:], ".") {
	case "u64.u32":
		return in[0], nil
	case "s64.s32":
		return func(t *thread) uint64 { return uint64(int64(int32(in[0](t)))) }, nil
	case "rni.s32.f32", "rni.u32.f32":
		return func(t *thread) uint64 {
			return uint64(uint32(int32(math.RoundToEven(float64(float32of(in[0](t)))))))
		}, nil
	case "rni.s32.f64", "rni.u32.f64":
		return func(t *thread) uint64 {
			return uint64(uint32(int32(math.RoundToEven(math.Float64frombits(in[0](t))))))
		}, nil
	case "f32.f16":
		return func(t *thread) uint64 { return bits32(float32(matrix.Float16.From16(uint16(in[0](t))))) }, nil
	case "rn.f16.f32":
		return func(t *thread) uint64 { return round(matrix.Float16, in[0](t)) }, nil
	case "rn.bf16.f32":
		return func(t *thread) uint64 { return round(matrix.BFloat16, in[0](t)) }, nil
	case "rn.f16x2.f32": // the first operand is the upper half
		return func(t *thread) uint64 { return round(matrix.Float16, in[0](t))<<16 | round(matrix.Float16, in[1](t)) }, nil
	case "rn.bf16x2.f32":
		return func(t *thread) uint64 {
			return round(matrix.BFloat16, in[0](t))<<16 | round(matrix.BFloat16, in[1](t))
		}, nil
	case "rna.tf32.f32":
		return func(t *thread) uint64 { return (in[0](t) + 0x1000) &^ 0x1fff }, nil
	}
	return nil, fmt.Errorf("no conversion %v", part)
}

// memory compiles ld and st.
func (c *compiler) memory(st *step, part, args []string) error {
	last := part[len(part)-1]
	size, err := strconv.Atoi(strings.TrimLeft(last, "bufs"))
	if err != nil {
		return err
	}
	size /= 8
	where, what := args[1], args[0]
	if part[0] == "st" {
		where, what = what, where
	}
	registers, err := c.registers(what)
	if err != nil {
		return err
	}
	if part[1] == "param" {
		number, in, to := c.symbols[strings.Trim(where, "[]")], c.in, registers[0]
		st.alone = func(t *thread) { t.registers[to] = in.params[number] }
		return nil
	}
	address, err := c.address(where)
	if err != nil {
		return err
	}
	if want := 1; strings.HasPrefix(part[2], "v") {
		if want, _ = strconv.Atoi(part[2][1:]); want != len(registers) {
			return fmt.Errorf("%d registers for %d", len(registers), want)
		}
	}
	in, shared, signed := c.in, part[1] == "shared", last == "s8"
	st.alone = func(t *thread) {
		a := address(t)
		var b []byte
		// A vector is aligned as a whole.
		if shared {
			b = t.block.at(a, size*len(registers))
		} else {
			b = in.global(a, size*len(registers))
		}
		for i, r := range registers {
			if part[0] == "st" {
				save(b[i*size:][:size], t.registers[r])
				continue
			}
			t.registers[r] = load(b[i*size:][:size])
			if signed {
				t.registers[r] = uint64(uint32(int32(int8(t.registers[r]))))
			}
		}
	}
	return nil
}
