// Package version compares the versions of packages, drivers and systems.
package version

import (
	"slices"
	"strconv"
	"strings"
)

// Older reports whether a dotted version comes before another; what is not known does
// not. Only the numbers up to the first part that is none count: 2.10.0rc1 is 2.10.0.
func Older(version, than string) bool {
	v := Numbers(version)
	return len(v) > 0 && slices.Compare(v, Numbers(than)) < 0
}

// Numbers returns the numbers that a dotted version begins with: 2, 15 and 0 of
// 2.15.0+cu132.
func Numbers(version string) []int {
	var list []int
	for part := range strings.SplitSeq(version, ".") {
		digits := part
		if i := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
			digits = part[:i]
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		if list = append(list, n); digits != part {
			break
		}
	}
	return list
}
