//go:build !((darwin || linux) && (amd64 || arm64))

package dl

// HasFloats reports whether a Loop can pass floating-point arguments here.
const HasFloats = false

func (l *Loop) run() {
	l.results = 0
	for range l.times {
		l.results |= Call(l.Func, l.Args[:]...)
	}
}
