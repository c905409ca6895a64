#!/bin/sh
# Print the Python interpreters (3.11 or newer) that really run and can make an environment:
# newest first, one path a line. A name on PATH proves little: pyenv leaves shims that do not run.
set -u

candidates() {
    for minor in 16 15 14 13 12 11; do echo "python3.$minor"; done
    printf 'python3\npython\n'
    for root in "${PYENV_ROOT:-}" "$HOME/.pyenv" "$(pyenv root 2>/dev/null)"; do
        [ -n "$root" ] && ls -d "$root"/versions/*/bin/python 2>/dev/null
    done
}

probe='import sys, os, venv, ensurepip
if sys.version_info >= (3, 11) and sys.version_info.releaselevel == "final":
    print(sys.version_info.minor, os.path.realpath(sys.executable), sys.executable)'

candidates | while read -r python; do
    "$python" -c "$probe" 2>/dev/null
done | sort -s -r -n -k1,1 | awk '!seen[$2]++ { sub(/^[^ ]* [^ ]* /, ""); print }'
