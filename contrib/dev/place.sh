#!/bin/sh
# Says where the virtual environment and the demo folder go: `place.sh venv`, `place.sh run`, `place.sh mode`.
#
# Mailward never serves as root, so in a root shell the user "mailward" must be able to reach Python, the environment and
# the demo folder. A checkout below a closed home folder (/root is one) cannot be reached, so there both live in
# /var/lib/mailward-dev, and ./run is a link. mode: editable, or copy where the checkout itself cannot be reached.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd -P)
reachable() { setpriv --reuid=mailward --regid=mailward --clear-groups test -r "$top/pyproject.toml" 2>/dev/null; }
if [ "$(id -u)" != 0 ] || reachable; then
    base=$top; venv=$top/.venv; run=$top/run; mode=editable
else
    base=/var/lib/mailward-dev/$(printf %s "$top" | cksum | cut -d' ' -f1); venv=$base/venv; run=$base/run; mode=copy
fi
case ${1:-} in
    venv) echo "$venv" ;;
    run) echo "$run" ;;
    mode) echo "$mode" ;;
    *) echo "usage: place.sh venv|run|mode" >&2; exit 64 ;;
esac
