#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_admin_queue.sh - the administrator's command on a queue in use
#
# Messages in all states through a real sync helper; a queue that is full, one
# that failed, and one that is damaged.
set -euo pipefail
srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/admin.sh
. "$srcdir/admin.sh"

# ---- list and cat ----------------------------------------------------------

test_list_and_cat() {
    new_queue --size 64M
    start_helper
    mail A0000000001 ready s@x.test a@one.test b@two.test
    mail A0000000002 deferred '' a@one.test
    mail A0000000003 held s@x.test a@one.test c@Three.test
    mail A0000000004 "done" s@x.test a@one.test
    mail A0000000005 done1 s@x.test a@one.test b@one.test
    mail - synced $'esc\033[1m@x.test' a@one.test
    expect 0 "" list
    output_lines 6 # with the heading
    grep -q '^A0000000001 .* ready  *2 .* s@x.test  *a@one.test +1$' \
        "$work/out" || fail "line 1: $(cat "$work/out")"
    grep -q '^A0000000002 .* deferred  *1 2.* <> ' "$work/out" ||
        fail "line 2: $(cat "$work/out")"
    output_has 'esc\x1b[1m@x.test'
    grep -q '^1\.6 ' "$work/out" || fail "no id: $(cat "$work/out")"
    cp "$work/out" "$work/table"

    expect 0 "" list --json
    output_lines 5
    output_has '"queue_id":"A0000000001"'
    output_has '"sequence":"1.1","status":["ready"],"recipients_left":2'
    output_has '"recipients":["b@one.test"]'
    output_has '"queue_id":null'
    output_has '"dsn":"4.4.1"'
    cp "$work/out" "$work/json"
    expect 0 "" list --domain THREE.test
    output_lines 2
    output_has A0000000003
    expect 0 "" list --domain nowhere.test
    output_lines 0
    expect 0 "" list --json --status "done" --status held
    output_lines 2
    expect 0 "" list --json --status all
    output_lines 6

    expect 0 "" cat A0000000005
    output_has "queue_id: A0000000005"
    output_has "sender: s@x.test"
    output_has "recipient (finished): a@one.test"
    output_has "recipient: b@one.test"
    [ "$(tail -n 1 "$work/out")" = "*** END ***" ] || fail "no end"
    expect 0 "" cat 1.6
    expect 0 "" cat --content A0000000001
    printf 'Received: by test\nSubject: A0000000001\n\nline\n.dot\nend' |
        cmp - "$work/out" || fail "the content differs"
    expect 0 "" cat A0000000004 # the bytes are still there
    expect 66 "no such message" cat A0000000009

    # One id twice: the queued one is meant, else the name says which.
    mail A0000000004 ready twice@x.test a@one.test
    expect 0 "" cat A0000000004
    output_has "sender: twice@x.test"
    mail A0000000004 ready thrice@x.test a@one.test
    expect 66 "2 messages have this id" cat A0000000004
    expect 0 "" cat 1.8
    output_has "sender: thrice@x.test"

    # The same when nothing runs.
    expect 0 "" list --json
    cp "$work/out" "$work/json"
    stop_helper
    expect 0 "" list --json
    cmp "$work/json" "$work/out" || fail "the list needs a helper"
}

# ---- status ----------------------------------------------------------------

test_status() {
    expect 69 "" status
    output_has "sync helper:    not running"
    output_has "queue manager:  not running"
    output_has "NOT WELL:       the sync helper is not running"
    start_helper
    expect 69 "" status
    output_has "captures:       refused: the queue manager has not started"
    output_has "1 done"
    output_has "sync helper:    running"
    expect 69 "" status --json
    output_lines 1
    output_has '"well":false'
    output_has '"helper":"running"'
    output_has '"deferred":2,'
    output_has '"sync_time":{"p50_us":'
    # Whoever holds the lock is the queue manager.
    start_manager
    expect 69 "" status
    output_has "queue manager:  running"
    output_has "NOT WELL:       captures are refused"
    expect 75 "does not answer on its control socket" release --all
    stop_manager
    expect 69 "" status
    output_has "queue manager:  not running"
}

test_status__failed() {
    new_queue --size 32M
    poke "$work/queue/queue.latch" 0 'FAILED 4711\n'
    expect 69 "" status
    output_has "FAILED:         at LSN 4711"
    output_has "NOT WELL:       a sync failed; no mail is taken"
    expect 69 "" status --json
    output_has '"failed":true,"failed_lsn":4711'
    expect 65 "" check
    output_has "FAILED: a sync failed at LSN 4711"
    expect 0 "" list
    expect 69 "a sync of the queue failed earlier" release --all
}

# ---- release ---------------------------------------------------------------

test_release() {
    expect 66 "A0000000009: no held message has this id" release A0000000009
    output_has "released 0"
    mail A0000000006 held s@x.test a@one.test
    mail A0000000007 held s@x.test a@one.test b@two.test
    mail A0000000008 held s@x.test a@one.test
    expect 66 "nope: no held message" release A0000000006 nope
    output_has "released 1"
    expect 0 "" list --json --status held
    output_lines 3
    expect 0 "" release A0000000007
    output_has "released 2"
    # Durable: the marks are in the log, so a new index knows as well.
    expect 0 "" release --all
    output_has "released 3"
    expect 0 "" release --all
    output_has "released 0"
    stop_helper
    rm "$work/queue/queue.index"
    start_helper
    expect 0 "" list --status held
    output_lines 0
    expect 0 "" list --json --status ready
    grep -q '"queue_id":"A0000000008"' "$work/out" || fail "not released"
}

test_release__through_the_manager() {
    start_manager '{"ok":true,"released":12}'
    expect 0 "" release --all
    output_has "released 12"
    read -r -t 20 line <&9
    [ "$line" = '{"verb":"release","all":true}' ] || fail "asked: $line"
    expect 0 "" release A0000000001 1.2
    read -r -t 20 line <&9
    [ "$line" = '{"verb":"release","ids":["A0000000001","1.2"]}' ] ||
        fail "asked: $line"
    stop_manager
    start_manager '{"ok":true,"released":0}'
    expect 0 "" release --all
    expect 66 "nope: no held message has this id, nor any" release nope x
    stop_manager
    start_manager '{"ok":false,"error":"not permitted"}'
    expect 69 "the queue manager: not permitted" release --all
    stop_manager
    start_manager 'hello'
    expect 76 "the queue manager: Protocol error" release --all
    stop_manager
    # It is gone, but its socket is still there: done here.
    expect 0 "" release --all
    output_has "released 0"
}

# ---- full ------------------------------------------------------------------

test_full_queue() {
    local i
    new_queue --size 32M --segment-size 8M --entries 1024
    start_helper
    for ((i = 1; i <= 6; i++)); do
        head -c 7000000 /dev/zero | tr '\0' 'x' | fold -w 1000 |
            fill "BIG000000$i" held s@x.test a@one.test 2>"$work/full" ||
            break
    done
    grep -q "the queue is full: no free segment" "$work/full" ||
        fail "the queue never got full: $(cat "$work/full")"
    expect 69 "" status
    output_has "NOT WELL:       the queue is full"
    expect 0 "" list
    output_lines "$i"
    # What leaves the queue needs no room of mail.
    expect 0 "" release --all
    output_has "released $((i - 1))"
    stop_helper

    new_queue --size 32M --segment-size 8M --entries 1024
    start_helper
    local recipients=()
    for ((i = 0; i < 1000; i++)); do
        recipients+=("user@domain$i.test")
    done
    mail ENTRIES001 held s@x.test "${recipients[@]}"
    if mail ENTRIES002 held s@x.test "${recipients[@]:0:30}" \
        2>"$work/full"; then
        fail "more entries than there are"
    fi
    grep -q "no free index entry" "$work/full" || fail "$(cat "$work/full")"
    expect 0 "" list --domain domain777.test
    output_lines 2
    expect 0 "" release ENTRIES001
    output_has "released 1000"
    stop_helper
}

# ---- check -----------------------------------------------------------------

# The file offset of a message's record: damage is reported with its place.
test_check() {
    local lsn offset
    new_queue --size 32M --segment-size 8M
    start_helper
    mail A0000000001 ready s@x.test a@one.test
    mail A0000000002 ready s@x.test a@one.test b@two.test
    mail A0000000003 ready s@x.test a@one.test
    expect 0 "" check
    output_has "verdict: no damage"
    output_has "3 messages"
    stop_helper
    expect 0 "" check
    output_has "verdict: no damage"

    lsn=$("$syncq" -c "$conf" cat A0000000002 | sed -n 's/^lsn: //p')
    offset=$(grep -obUaF "Subject: A0000000002" "$work/queue/queue.data" |
        head -n 1 | cut -d: -f1)
    poke "$work/queue/queue.data" "$offset" 'X'
    expect 65 "" check
    output_has "damaged: "
    output_has "bytes at LSN $lsn"
    output_has "lost: message 1.2, part 0"
    output_has "lost: message 1.2, part 1"
    output_has "verdict: DAMAGED"
    expect 65 "some messages cannot be read" list
    output_lines 4
    output_has "(unreadable)"
    expect 65 "some messages cannot be read" list --json
    output_has '"error":'
    expect 66 "1 messages cannot be read" cat A0000000002
    expect 65 "no whole and genuine record" cat 1.2
    poke "$work/queue/queue.data" "$offset" 'S'
    expect 0 "" check

    # One bit of an entry.
    poke "$work/queue/queue.index" $((4 * 4096 + 80)) '\0377\0377'
    expect 65 "" check
    output_has "damaged: entry 0 of the index"
    output_has "no message is lost"
}

test_list_and_cat
test_status
test_release
test_release__through_the_manager
test_full_queue
test_status__failed
test_check
