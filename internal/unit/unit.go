// Package unit formats quantities for people, in one way everywhere: three
// significant digits and a prefix.
package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Digits3 returns x with three significant digits and no exponent: 13.8, 0.0214.
func Digits3(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 2, 64), 64) // rounding may carry into another digit
	return strconv.FormatFloat(r, 'f', max(0, 2-int(math.Floor(math.Log10(math.Abs(r))))), 64)
}

// Plural returns a number of things, whose name has an s in the plural: "1 thread",
// "16 threads".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// List joins words: "a", "a and b", "a, b and c".
func List(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// scaled divides x by the largest power of base that fits and appends the prefix
// for it.
func scaled(x, base float64, prefixes []string) string {
	i := 0
	for i+1 < len(prefixes) && math.Abs(x) >= base*(1-0.0005) {
		x /= base
		i++
	}
	return Digits3(x) + " " + prefixes[i]
}

// Rate formats a speed with its prefix: "13.8 TFLOP/s". what names what is
// counted per second, such as FLOP.
func Rate(x float64, what string) string {
	return scaled(x, 1000, []string{"", "k", "M", "G", "T", "P", "E"}) + what + "/s"
}

// Tera formats a number in units of 10¹²: "13.8".
func Tera(x float64) string { return Digits3(x / 1e12) }

// Bytes formats a size in decimal units: "17.2 GB".
func Bytes(n float64) string {
	return scaled(n, 1000, []string{"", "k", "M", "G", "T", "P", "E"}) + "B"
}

// Count formats a number of parameters in millions or billions: "494 M", "7.62 B".
func Count(n float64) string {
	return strings.TrimSpace(scaled(n, 1000, []string{"", "k", "M", "B", "T"}))
}

// Seconds formats a duration: "2.14 s", "63.0 ms", "410 µs", "3.00 ns".
func Seconds(d time.Duration) string {
	switch s := d.Seconds(); {
	case s == 0 || s >= 0.9995:
		return Digits3(s) + " s"
	case s >= 0.9995e-3:
		return Digits3(s*1e3) + " ms"
	case s >= 0.9995e-6:
		return Digits3(s*1e6) + " µs"
	default:
		return Digits3(s*1e9) + " ns"
	}
}

// Left formats an estimate of the time that something still takes: "12 s left",
// "4 min left". It is never 0.
func Left(d time.Duration) string {
	switch {
	case d < 100*time.Second:
		return fmt.Sprintf("%d s left", max(1, int(math.Round(d.Seconds()))))
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0f min left", d.Minutes())
	}
	return fmt.Sprintf("%.0f h left", d.Hours())
}

// Span formats a time to two significant digits, in the unit that people would take for
// it: "0.76 s", "3.3 s", "25 min", "7.4 h", "10 days", "2.1 years".
func Span(seconds float64) string {
	for _, u := range []struct {
		below, seconds float64
		name           string
	}{{90, 1, "s"}, {90 * 60, 60, "min"}, {48 * 3600, 3600, "h"}, {730 * 86400, 86400, "days"}, {math.Inf(1), 365.25 * 86400, "years"}} {
		if seconds < u.below {
			x := seconds / u.seconds
			r, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 1, 64), 64)
			return strconv.FormatFloat(r, 'f', -1, 64) + " " + u.name
		}
	}
	return "–" // not a number
}

// Times formats a ratio: two significant digits below 10 and whole numbers above,
// as in "3.8" and "25"; three digits around 1, where they matter: "1.08".
func Times(x float64) string {
	switch {
	case x >= 9.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x < 1.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 1, 64)
}

// Percent formats a share: "0.4 %", "12 %".
func Percent(share float64) string {
	p := share * 100
	if math.Abs(p) >= 9.95 {
		return fmt.Sprintf("%.0f %%", p)
	}
	return fmt.Sprintf("%.1f %%", p)
}

// Cube formats the dimensions of a product: "4096³" or "5×4096×4096".
func Cube(m, n, k int) string {
	if m == n && n == k {
		return fmt.Sprintf("%d³", m)
	}
	return fmt.Sprintf("%d×%d×%d", m, n, k)
}

// ParseSize parses a number such as 8192 or 8k, which is 8·1024.
func ParseSize(s string) (int, error) {
	digits, factor := s, 1
	if d, ok := strings.CutSuffix(strings.ToLower(s), "k"); ok {
		digits, factor = d, 1024
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > math.MaxInt/factor || n < math.MinInt/factor {
		return 0, fmt.Errorf("%q is not a size: use a whole number such as 8192 or 8k", s)
	}
	return n * factor, nil
}
