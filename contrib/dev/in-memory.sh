#!/bin/sh
# Runs a command whose temporary files are kept in memory, where there is enough of it, and gone afterwards: `in-memory.sh COMMAND...`
#
# The tests sync files some hundred thousand times and wait for the disk for longer than for anything else. That a synced file
# outlives a power cut no test can see; what is synced, when, and what happens when it fails or was forgotten they see at the calls.
set -eu
enough_kib=4194304
place=/dev/shm  # with a short name below it: that of a socket has at most 107 octets
can_run() { printf '#!/bin/sh\n' >"$1/run" && chmod +x "$1/run" && "$1/run" 2>/dev/null; }
room_kib() {
    { df -Pk $place 2>/dev/null | awk 'NR == 2 { print $4 }'; awk '/^MemAvailable:/ { print $2 }' /proc/meminfo; } | sort -n | head -n 1
}
if room=$(room_kib) && [ "${room:-0}" -ge $enough_kib ] && folder=$(mktemp -d $place/mail.XXXX); then
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod 1777 "$folder"
    ! can_run "$folder" || export TMPDIR="$folder"
fi
"$@"
