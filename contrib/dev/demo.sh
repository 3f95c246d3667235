#!/bin/sh
# What `make run` does after installing: a demo domain with one account, then the server until Ctrl-C.
# Usage: demo.sh BIN RUN OFFSET   (the first two from place.sh; a demo on other ports than the usual ones has a folder RUN-OFFSET)
set -eu
bin=$1
offset=$3
case $offset in
    2000) run=$2 ;;
    *) run=$2-$offset ;;
esac
top=$(cd "$(dirname "$0")/../.." && pwd -P)
here=./$(basename "$run")
cd "$top"
if [ ! -f "$run/mailward.yaml" ]; then
    "$bin/mailward" try ports "$offset" # before a folder is written whose ports are another server's
    mkdir -p "$(dirname "$run")"
    "$bin/mailward" quickstart "$run" --domain example.test --account demo@example.test --port-offset "$offset" --no-next-steps \
        >/dev/null # `try commands` tells it, at every start
fi
if [ ! -e "$here" ]; then
    ln -s "$run" "$here"
fi
case $bin in
    "$top"/*) command="./${bin#"$top"/}/mailward" ;;
    *) command="$bin/mailward" ;;
esac
"$bin/mailward" try commands -c "$here/mailward.yaml" --command "$command"
exec "$bin/mailward" serve -c "$run/mailward.yaml"
