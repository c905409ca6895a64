#!/bin/sh
# Make the environment VENV and install kyeo (editable) with one extra (plot or test) into it.
# Usage: sh scripts/setup_env.sh VENV EXTRA
# The newest interpreter comes first; where JAX has no wheels for it yet, the next older one is tried.
set -u
venv=$1
extra=$2
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.." || exit 1
export PIP_DISABLE_PIP_VERSION_CHECK=1

install() {
    "$venv/bin/python" -m pip install --only-binary=:all: --editable ".[$extra]" &&
        touch "$venv/.installed-$extra"
}

explain() {
    cat >&2 <<END

kyeo: the installation failed; pip's own words are above.
  No network?        The packages come from PyPI. Connect, or tell pip about a mirror or a folder
                     of wheels (PIP_INDEX_URL, or PIP_NO_INDEX=1 with PIP_FIND_LINKS), and run it again.
  Behind a proxy?    Set HTTPS_PROXY.
  No wheel found?    JAX has wheels for Linux x86-64 and aarch64 (glibc), macOS on Apple silicon
                     and Windows x86-64.
END
    exit 1
}

# An environment that once was complete is kept: only what is missing is added.
if ls "$venv"/.installed-* >/dev/null 2>&1 && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    install || explain
    exit 0
fi

pythons=$(sh "$here/find_python.sh")
if [ -z "$pythons" ]; then
    echo "kyeo needs Python 3.11 or newer with its venv module, and found none." >&2
    echo "Get one from python.org, or: apt-get install python3 python3-venv; brew install python" >&2
    exit 1
fi

echo "$pythons" > "${TMPDIR:-/tmp}/kyeo-pythons.$$"
trap 'rm -f "${TMPDIR:-/tmp}/kyeo-pythons.$$"' EXIT
while read -r python; do
    echo "kyeo: setting up $venv with $("$python" --version) ($python); needed once"
    "$python" -m venv --clear "$venv" && install </dev/null && exit 0
    echo "kyeo: $python did not work" >&2
done < "${TMPDIR:-/tmp}/kyeo-pythons.$$"
explain
