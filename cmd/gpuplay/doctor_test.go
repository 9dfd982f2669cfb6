package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gpuplay/gpuplay/internal/bench"
)

// An engine's own error keeps its code and hint on its way to the doctor; any other
// becomes an internal one.
func TestDiagnosed(t *testing.T) {
	own := &bench.Error{Code: bench.ErrUnavailable, Message: "no library", Hint: "install one"}
	for _, test := range []struct {
		err  error
		want bench.Error
	}{
		{fmt.Errorf("blas: %w", own), *own},
		{errors.New("broken pipe"), bench.Error{Code: bench.ErrInternal, Message: "broken pipe"}},
	} {
		e := diagnosed(contender{engine: engine{name: "blas"}, err: test.err})
		if e.Error == nil || *e.Error != test.want || e.BuiltIn || e.Name != "blas" {
			t.Errorf("%v becomes %+v", test.err, e)
		}
	}
	if e := diagnosed(contender{engine: engine{name: "torch"}}); e.Error != nil {
		t.Errorf("no error becomes %v", e.Error)
	}
}
