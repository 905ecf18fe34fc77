#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_admin_grow.sh - the administrator makes a queue larger
#
# Stopped and running; what is refused leaves everything as it was.
set -euo pipefail
srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/admin.sh
. "$srcdir/admin.sh"

# has_size SEGMENTS ENTRIES: what the files say, and how long they are.
has_size() {
    expect_status
    output_has "\"segments\":$1,"
    output_has "\"entries\":$2,"
    [ "$(stat -c %s "$work/queue/queue.data")" -eq $(((1 + 8 * $1) << 20)) ] ||
        fail "queue.data: $(stat -c %s "$work/queue/queue.data") bytes"
    [ "$(stat -c %s "$work/queue/queue.index")" -eq $((16384 + 128 * $2)) ] ||
        fail "queue.index: $(stat -c %s "$work/queue/queue.index") bytes"
}

# The queue manager does not run, so not all is well.
expect_status() {
    expect 69 "" status --json
}

test_grow__stopped() {
    new_queue --size 32M --segment-size 8M --entries 1024
    expect 0 "" grow --size 48M
    has_size 6 12288 # one entry for each 4 KiB
    # Rounded down to whole segments; and never fewer entries.
    expect 0 "" grow --size 57M --entries 20000
    has_size 7 20000
    expect 0 "" grow --size 64M
    has_size 8 20000
    expect 0 "" grow --entries 30000
    has_size 8 30000
    expect 0 "" check
}

test_grow__running() {
    local i
    start_helper
    mail A0000000001 ready s@x.test a@one.test b@two.test
    expect 0 "" grow --size 72M --entries 40000
    has_size 9 40000
    for ((i = 2; i <= 8; i++)); do
        mail "A000000000$i" deferred s@x.test a@one.test b@two.test
    done
    expect 0 "" list --json
    output_lines 8
    expect 0 "" grow --entries 50000
    has_size 9 50000
    expect 0 "" check
    grep -q "grown: segments=9, entries=50000" "$work/sync.log" ||
        fail "not logged: $(tail -n 3 "$work/sync.log")"
    stop_helper
    # A new index has as many entries.
    rm "$work/queue/queue.index"
    start_helper
    has_size 9 50000
    expect 0 "" list --json
    output_lines 8
    stop_helper
}

test_grow__refused() {
    local range="has 72M (9 segments of 8M) and 50000 entries, and can only"
    local shm=/dev/shm
    expect 64 "how large?" grow
    expect 64 "unexpected argument 1G" grow 1G
    expect 64 "--size 1x" grow --size 1x
    expect 64 "--entries 5" grow --entries 5
    expect 64 "$range" grow --size 72M
    expect 64 "$range" grow --size 79M
    expect 64 "$range" grow --size 64M --entries 60000
    expect 64 "$range" grow --size 80M --entries 49999
    expect 64 "$range" grow --entries 50000
    expect 64 "up to 32768M and 268435456 entries" grow --size 33G
    has_size 9 50000
    expect 66 "no queue" -o "queue_directory=$work/none" grow --size 1G
    (
        flock -n 7
        expect 75 "another process holds the lock" grow --size 80M
    ) 7<"$work/queue"
    if [ "$(stat -f -c %T $shm)" = tmpfs ]; then
        shm=$(mktemp -d $shm/syncq-admin.XXXXXX)
        chmod 755 "$shm"
        expect 0 "" -o "run_directory=$work/run" -o allow_any_filesystem=yes \
            -o "queue_directory=$shm/q" create --size 32M
        expect 73 "file system" -o "run_directory=$work/run" \
            -o allow_any_filesystem=no -o "queue_directory=$shm/q" \
            grow --size 64M
        rm -rf "$shm"
    fi
    if [ "$(id -u)" -eq 0 ]; then
        chown -R root "$work/queue"
        expect 77 "must belong to mail_owner" grow --size 80M
        chown -R "$owner" "$work/queue"
    fi
    poke "$work/queue/queue.latch" 0 'FAILED 4711\n'
    expect 69 "a sync of the queue failed earlier" grow --size 80M
    has_size 9 50000
    rm "$work/queue/queue.index"
    new_queue --size 32M
    rm "$work/queue/queue.index"
    expect 65 "the sync helper makes a new one" grow --size 80M
}

# Nobody takes the question: the verb does it as soon as it can, and the next
# helper goes on with the larger queue.
test_grow__helper_dies() {
    new_queue --size 32M --segment-size 8M --entries 1024
    start_helper
    mail A0000000001 ready s@x.test a@one.test b@two.test
    kill -9 "$helper"
    wait "$helper" 2>/dev/null || true
    helper=
    expect 0 "" grow --size 40M
    start_helper
    has_size 5 10240
    expect 0 "" list --json
    output_lines 1
    stop_helper
}

test_grow__stopped
test_grow__running
test_grow__refused
test_grow__helper_dies
