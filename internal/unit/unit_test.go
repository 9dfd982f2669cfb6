package unit

import (
	"testing"
	"time"
)

func TestPrint(t *testing.T) {
	tests := []struct{ got, want string }{
		{Plural(1, "thread"), "1 thread"},
		{Plural(0, "thread"), "0 threads"},
		{Plural(16, "thread"), "16 threads"},
		{Digits3(0), "0"},
		{Digits3(13.814), "13.8"},
		{Digits3(0.02136), "0.0214"},
		{Digits3(999.6), "1000"},
		{Digits3(1234567), "1230000"},
		{Digits3(-3.14159), "-3.14"},
		{Digits3(0.09996), "0.100"},
		{Rate(13.81e12, "FLOP"), "13.8 TFLOP/s"},
		{Rate(999.9e9, "FLOP"), "1.00 TFLOP/s"},
		{Rate(12, "OP"), "12.0 OP/s"},
		{Tera(6.94e12), "6.94"},
		{Tera(1.04e9), "0.00104"},
		{Bytes(17_179_869_184), "17.2 GB"},
		{Bytes(512), "512 B"},
		{Seconds(2140 * time.Millisecond), "2.14 s"},
		{Seconds(63 * time.Millisecond), "63.0 ms"},
		{Seconds(999900 * time.Microsecond), "1.00 s"},
		{Seconds(410 * time.Microsecond), "410 µs"},
		{Seconds(3), "3.00 ns"},
		{Seconds(0), "0 s"},
		{Left(0), "1 s left"},
		{Left(99 * time.Second), "99 s left"},
		{Left(100 * time.Second), "2 min left"},
		{Left(3 * time.Hour), "3 h left"},
		{Times(24.8), "25"},
		{Times(3.84), "3.8"},
		{Times(1.084), "1.08"},
		{Times(0.52), "0.52"},
		{Percent(0.004), "0.4 %"},
		{Percent(0.123), "12 %"},
		{Cube(64, 64, 64), "64³"},
		{Cube(5, 64, 64), "5×64×64"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int{"8192": 8192, "8k": 8192, "1K": 1024, "-3": -3, "0": 0} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "8.5k", "1e9", "eight", "99999999999999999999", "9999999999999999k"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{
		0.0123: "0.012 s", 0.76: "0.76 s", 3.3333: "3.3 s", 60: "60 s", 89: "89 s", 90: "1.5 min", 1488: "25 min", 5399: "90 min", 5400: "1.5 h", 26762: "7.4 h",
		172799: "48 h", 172800: "2 days", 864000: "10 days", 63071999: "730 days", 66e6: "2.1 years", 1e12: "32000 years",
	} {
		if got := Span(seconds); got != want {
			t.Errorf("%g s: %q, want %q", seconds, got, want)
		}
	}
}
