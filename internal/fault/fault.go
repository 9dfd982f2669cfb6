// Package fault is what errors are made of in all of gpuplay: a code that survives
// the way between two processes, a message for people, and remedies as data.
//
// Messages and remedies name parameters, never a command line's flags or a page's
// fields: only whoever shows them knows how a parameter is written there.
package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A Code is the class of an error. It is an error itself, so that
// errors.Is(err, fault.OutOfMemory) works across process borders.
type Code string

func (c Code) Error() string { return string(c) }

const (
	Unavailable Code = "unavailable"   // an engine, a device or a service cannot work on this machine
	Unsupported Code = "unsupported"   // there is no code for what was asked: a lane is left out, not failed
	OutOfMemory Code = "out_of_memory" // of the host or of the device
	Invalid     Code = "invalid"       // the request makes no sense
	Crashed     Code = "crashed"       // a process ended
	Lost        Code = "lost"          // a process ended because of something else that it did
	Timeout     Code = "timeout"       // no answer in time
	Wrong       Code = "wrong_result"  // something else was computed
	Interrupted Code = "interrupted"   // the user ended it
	Internal    Code = "internal"      // anything else
)

// An Error says what happened, in words for people, and how to fix it.
type Error struct {
	Code     Code     `json:"code"`
	Message  string   `json:"message"` // names the thing, the value and the limit
	Remedies Remedies `json:"remedies,omitempty"`
}

// Errorf returns an error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// With adds remedies to an error and returns it.
func (e *Error) With(r ...Remedy) *Error {
	e.Remedies = append(e.Remedies, r...)
	return e
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Words returns the message as one surface says it, with the remedies in parentheses.
func (e *Error) Words(w Wording) string {
	if len(e.Remedies) == 0 {
		return e.Message
	}
	return e.Message + " (" + e.Remedies.Words(w) + ")"
}

// From returns err as an Error: the one that it wraps, or one that has its text and
// the code that it wraps, Internal if there is none; nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	code := Internal
	errors.As(err, &code)
	return &Error{Code: code, Message: err.Error()}
}

// UnmarshalJSON also reads what versions before 0.2 wrote: a hint in words in place
// of remedies.
func (e *Error) UnmarshalJSON(text []byte) error {
	type plain Error
	in := struct {
		*plain
		Hint string `json:"hint"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	if in.Hint != "" && len(e.Remedies) == 0 {
		e.Remedies = Advice(in.Hint)
	}
	return nil
}

// A Remedy is one way out of an error: a parameter to change, a command to run, or
// advice in words.
type Remedy struct {
	// Text says what the remedy does: "the largest size that fits". Two braces stand
	// for the parameter or the command where it belongs within the words:
	// "{} allows more time".
	Text string `json:"text,omitempty"`
	// Param is the parameter to change: "size".
	Param string `json:"param,omitempty"`
	// Value is what to set Param to: "8960"; empty where it is the reader's choice.
	Value string `json:"value,omitempty"`
	// Command is a command to run, the program's name first. With Param it is one of
	// gpuplay's own, run with that parameter.
	Command []string `json:"command,omitempty"`
}

// Remedies are ways out, the best first.
type Remedies []Remedy

// Advice returns a remedy of words alone, none for no words.
func Advice(text string) Remedies {
	if text == "" {
		return nil
	}
	return Remedies{{Text: text}}
}

// Set returns the remedy of setting a parameter to a value.
func Set(param string, value any, text string) Remedy {
	return Remedy{Text: text, Param: param, Value: fmt.Sprint(value)}
}

// Change returns the remedy of giving a parameter another value, which the reader
// chooses; text says which.
func Change(param, text string) Remedy { return Remedy{Text: text, Param: param} }

// Run returns the remedy of running a command; text, which may be empty, says what
// it does.
func Run(text string, command ...string) Remedy { return Remedy{Text: text, Command: command} }

// A Wording is how a surface writes what remedies name: the command line writes the
// parameter size as --size, a page as the name of its field.
type Wording interface {
	Param(name, value string) string
	Command(words []string) string
}

// Words returns a remedy as one surface says it; a nil wording stands for none, which
// names parameters and commands as they are.
func (r Remedy) Words(w Wording) string {
	if w == nil {
		w = bare{}
	}
	var parts []string
	if len(r.Command) > 0 {
		parts = append(parts, w.Command(r.Command))
	}
	if r.Param != "" {
		parts = append(parts, w.Param(r.Param, r.Value))
	}
	what := strings.Join(parts, " ")
	switch {
	case what == "":
		return r.Text
	case r.Text == "":
		return what
	case strings.Contains(r.Text, "{}"):
		return strings.ReplaceAll(r.Text, "{}", what)
	}
	return r.Text + ": " + what
}

// Words returns the remedies as one surface says them, separated by semicolons.
func (list Remedies) Words(w Wording) string {
	var words []string
	for _, r := range list {
		words = append(words, r.Words(w))
	}
	return strings.Join(words, "; ")
}

// String returns the remedies with parameters and commands as they are named.
func (list Remedies) String() string { return list.Words(bare{}) }

// bare is the wording of no surface.
type bare struct{}

func (bare) Param(name, value string) string { return strings.TrimSpace(name + " " + value) }
func (bare) Command(words []string) string   { return strings.Join(words, " ") }
