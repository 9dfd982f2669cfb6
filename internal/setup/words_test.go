package setup

import (
	"errors"
	"strings"
	"testing"
)

func TestSaid(t *testing.T) {
	failed := errors.New("exit status 1")
	tests := []struct{ name, text, want string }{
		{"nothing", " \n", "exit status 1"},
		{"uv", "Resolved 3 packages\nerror: Request failed\n  cause: dns error\n", "exit status 1: “error: Request failed / cause: dns error”"},
		{"pip offline", "Collecting mlx\nWARNING: Retrying: total=1\nWARNING: Retrying: name resolution\nERROR: from versions: none\nERROR: No match\n", "exit status 1: “WARNING: Retrying: name resolution / ERROR: from versions: none / ERROR: No match”"},
		{"a traceback", "Traceback:\nImportError: libcudart.so.13", "exit status 1: “Traceback: / ImportError: libcudart.so.13”"},
		{"a long story", strings.Repeat("line\n", 20) + "end\n", "exit status 1: “" + strings.Repeat("line / ", 9) + "end”"},
	}
	for _, tt := range tests {
		if got := said(failed, tt.text); got.Error() != tt.want || !errors.Is(got, failed) {
			t.Errorf("%s: %v, want %s", tt.name, got, tt.want)
		}
	}
}
