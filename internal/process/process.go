// Package process starts children that a Ctrl-C on the terminal reaches only
// through their parent, and ends them with all that they have started.
package process
