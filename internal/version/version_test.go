package version

import "testing"

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		version, than string
		want          bool
	}{
		{"2.9.1", "2.10", true}, {"2.10.0", "2.10", false}, {"2.10", "2.10", false}, {"2.15.0+cu132", "2.15", false},
		{"2.10.0rc1", "2.9", false}, {"", "1", false}, {"unknown", "1", false}, {"535.183.01", "580", true}, {"15.1", "14", false}, {"9.0", "7.5", false},
	} {
		if got := Older(test.version, test.than); got != test.want {
			t.Errorf("Older(%q, %q) = %v", test.version, test.than, got)
		}
	}
}
