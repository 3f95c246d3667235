#!/bin/sh
# What `make run` does after installing: a demo domain with one account, then the server until Ctrl-C.
# Usage: demo.sh BIN RUN   (both from place.sh)
set -eu
bin=$1
run=$2
top=$(cd "$(dirname "$0")/../.." && pwd -P)
cd "$top"
if [ ! -f "$run/mailward.yaml" ]; then
    mkdir -p "$(dirname "$run")"
    "$bin/mailward" quickstart "$run" --domain example.test --account demo@example.test --port-offset 2000 --no-next-steps \
        >/dev/null # `try commands` tells it, at every start
fi
if [ "$run" != "$top/run" ] && [ ! -e "$top/run" ]; then
    ln -s "$run" "$top/run"
fi
case $bin in
    "$top"/*) command="./${bin#"$top"/}/mailward" ;;
    *) command="$bin/mailward" ;;
esac
"$bin/mailward" try commands -c ./run/mailward.yaml --command "$command"
exec "$bin/mailward" serve -c "$run/mailward.yaml"
