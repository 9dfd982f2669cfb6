package host

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/host"
)

// application keys machine ids. With another one all machines would have other ids.
const application = "gpuplay machine id v1"

// hashed returns what a record may hold of the system's own id of this machine: half
// an HMAC-SHA256 that is keyed with the application, as machine-id(5) recommends,
// since that id itself must not leave the machine. It is empty for no id.
func hashed(id string) string {
	if id == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(application))
	mac.Write([]byte(id))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// systemID returns the system's own id of this machine, which survives a reboot; empty
// where there is none. On Linux that is systemd's or D-Bus's: gopsutil would take the
// mainboard's for root alone, and else fall back to one that changes with every boot.
// On macOS it is the hardware's UUID, on Windows MachineGuid.
func systemID(ctx context.Context) string {
	if runtime.GOOS == "linux" {
		return linuxID("/")
	}
	id, err := host.HostIDWithContext(ctx)
	if err != nil {
		return ""
	}
	return id
}

// linuxID reads the id below a root folder: 32 hexadecimal digits. A file may hold
// another word while no id has been chosen, and is empty in many containers' images.
func linuxID(root string) string {
	for _, file := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		text, _ := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		id := strings.TrimSpace(string(text))
		if b, err := hex.DecodeString(id); err == nil && len(b) == 16 {
			return strings.ToLower(id)
		}
	}
	return ""
}
