package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpuplay/gpuplay/internal/fault"
)

// An engine's own error keeps its code and hint on its way to the doctor; any other
// becomes an internal one.
func TestDiagnosed(t *testing.T) {
	own := &fault.Error{Code: fault.Unavailable, Message: "no library", Remedies: fault.Advice("install one")}
	for _, test := range []struct {
		err  error
		want fault.Error
	}{
		{fmt.Errorf("blas: %w", own), *own},
		{errors.New("broken pipe"), fault.Error{Code: fault.Internal, Message: "broken pipe"}},
	} {
		e := diagnosed(contender{engine: engine{name: "blas"}, err: test.err})
		if e.Error == nil || !cmp.Equal(*e.Error, test.want) || e.BuiltIn || e.Name != "blas" {
			t.Errorf("%v becomes %+v", test.err, e)
		}
	}
	if e := diagnosed(contender{engine: engine{name: "torch"}}); e.Error != nil {
		t.Errorf("no error becomes %v", e.Error)
	}
}
