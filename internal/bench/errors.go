package bench

// A Code is the class of an error. It is an error itself, so that
// errors.Is(err, ErrOutOfMemory) works across process borders.
type Code string

func (c Code) Error() string { return string(c) }

const (
	ErrUnavailable Code = "unavailable"   // the engine cannot work on this machine
	ErrUnsupported Code = "unsupported"   // it has no code for this GEMM: the lane is left out, not failed
	ErrOutOfMemory Code = "out_of_memory" //
	ErrInvalid     Code = "invalid"       // the request makes no sense
	ErrCrashed     Code = "crashed"       // its process ended
	ErrTimeout     Code = "timeout"       // it did not answer in time
	ErrWrong       Code = "wrong_result"  // it computed something else
	ErrInterrupted Code = "interrupted"   // the user ended it
	ErrInternal    Code = "internal"      // anything else
)

// An Error says what happened in words for people, and the way out.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`        // names the thing, the value and the limit
	Hint    string `json:"hint,omitempty"` // a command or a flag that helps; may be empty
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}
