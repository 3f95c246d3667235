#!/bin/sh
# Makes or renews the virtual environment. `environment.sh` installs what running needs, `environment.sh dev` what
# developing and testing need too. Prints one clear line for anything it cannot do itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)
top=$(cd "$here/../.." && pwd -P)
extras=${1:-run}
say() { printf '%s\n' "$*"; }
fail() { printf 'make: %s\n' "$*" >&2; exit 1; }

if [ "$(id -u)" = 0 ] && ! getent passwd mailward >/dev/null; then
    useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin mailward
    say "made the system user 'mailward' (Mailward never serves as root)"
fi

# A Python that everybody may run: one below /root is of no use to the user "mailward".
find_python() {
    for candidate in ${PYTHON:-} /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 python3.11 python3.12 python3.13 python3; do
        found=$(command -v "$candidate" 2>/dev/null) || continue
        "$found" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if [ "$(id -u)" = 0 ]; then
            setpriv --reuid=mailward --regid=mailward --clear-groups "$found" -c pass 2>/dev/null || continue
        fi
        echo "$found"
        return
    done
}

# Installs Debian packages where we may; else says which, and ends.
want() { # why, packages
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $2"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
    else
        fail "$1; install it first (Debian: sudo apt-get install $2)"
    fi
}

python=$(find_python)
if [ -z "$python" ]; then
    want "there is no Python 3.11 or newer" python3-venv
    python=$(find_python)
    [ -n "$python" ] || fail "there is no Python 3.11 or newer that user 'mailward' may run, and this system has none to install"
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    want "python$version has no venv module" "python$version-venv"
fi

venv=$("$here/place.sh" venv)
mode=$("$here/place.sh" mode)
stamp=$venv/.installed-$extras
wanted=$(cat "$top/pyproject.toml" "$top/constraints.txt" "$0" | cksum)
# A server that has become the user "mailward" cannot keep what Python makes of our sources, and would make it anew at every start.
compile() { [ "$mode" = copy ] || "$venv/bin/python" -m compileall -q core plugins || :; }
cd "$top"
if [ "$mode" = editable ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    compile
    exit 0
fi
mkdir -p "$(dirname "$venv")"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check -q"
say "installing Mailward and what it needs into a virtual environment (a minute or two the first time)"
$pip install --upgrade "pip>=25.1"
[ "$extras" = run ] || $pip install -c constraints.txt --group dev
if [ "$mode" = editable ]; then
    $pip install -c constraints.txt -e .
else
    $pip install -c constraints.txt .
    chmod -R go+rX "$(dirname "$venv")"
fi
compile
printf '%s\n' "$wanted" >"$stamp"
