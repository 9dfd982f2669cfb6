package encode

import (
	"io"

	"github.com/gpuplay/gpuplay/internal/record"
)

// ExplainJSON writes an explanation as one indented object.
func ExplainJSON(w io.Writer, x *record.Explanation) error {
	e := encoder(w)
	e.SetIndent("", "  ")
	return e.Encode(x)
}
