package setup

import (
	"slices"
	"strings"
)

// heeded are the beginnings of the variables of pip and uv that say how to reach an
// index and where to keep files meanwhile. All others are left out of an installer's
// environment: PIP_USER and PIP_TARGET have packages installed elsewhere, and others
// choose other versions than the plan does
// (https://pip.pypa.io/en/stable/topics/configuration/, https://docs.astral.sh/uv/reference/environment/).
var heeded = []string{
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY",
	"PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_RETRIES", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_KEYRING_PROVIDER", "PIP_CONFIG_FILE",
	"UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "UV_NO_INDEX", "UV_FIND_LINKS", "UV_KEYRING", "UV_INSECURE", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS",
	"UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_OFFLINE", "UV_HTTP", "UV_REQUEST", "UV_CONCURRENT", "UV_PYTHON_INSTALL", "UV_PYTHON_DOWNLOADS",
	"UV_CONFIG_FILE", "UV_NO_CONFIG", "UV_CREDENTIALS",
}

// installing is the environment of an installer that asks nothing, draws nothing and
// installs where it is told to.
func (b *Builder) installing(more ...string) []string {
	env := slices.DeleteFunc(slices.Clone(b.Env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "PIP_") && !strings.HasPrefix(name, "UV_") {
			return name == "PYTHONPATH" || name == "PYTHONHOME"
		}
		return !slices.ContainsFunc(heeded, func(h string) bool { return strings.HasPrefix(name, h) })
	})
	return slices.Concat(env, more, []string{"PIP_USER=0", "PIP_NO_INPUT=1", "PIP_PROGRESS_BAR=off", "PIP_DISABLE_PIP_VERSION_CHECK=1", "NO_COLOR=1"})
}
