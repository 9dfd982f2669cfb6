package main

// suspending does nothing: Windows has no Ctrl-Z that stops programs.
func suspending(func(stop func())) (end func()) { return func() {} }
