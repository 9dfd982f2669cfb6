package blas

import "testing"

func TestFewer(t *testing.T) {
	settings := []string{"OMP_NUM_THREADS=1", "MKL_NUM_THREADS=2", "VECLIB_MAXIMUM_THREADS=1", "BLIS_NUM_THREADS="}
	for _, tt := range []struct {
		api            string
		threads, cores int
		want           string
	}{
		{"openblas", 1, 2, "computes with 1 thread of 2 cores: OMP_NUM_THREADS=1"},
		{"mkl", 2, 8, "computes with 2 threads of 8 cores: MKL_NUM_THREADS=2, OMP_NUM_THREADS=1"},
		{"blis", 1, 2, "computes with 1 thread of 2 cores: OMP_NUM_THREADS=1"},
		{"openblas", 2, 2, ""},
		{"openblas", 4, 2, ""},
		{"accelerate", 0, 2, ""}, // which does not tell
	} {
		if got := fewer(tt.api, tt.threads, tt.cores, settings); got != tt.want {
			t.Errorf("%s with %d of %d: %q, want %q", tt.api, tt.threads, tt.cores, got, tt.want)
		}
	}
	if got := fewer("openblas", 1, 2, []string{"OMP_NUM_THREADS_LIMIT=1"}); got != "" {
		t.Errorf("another variable: %q", got)
	}
}
