#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_admin_repair.sh - check, check --repair and salvage on damaged queues
set -euo pipefail
srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/admin.sh
. "$srcdir/admin.sh"

data=$work/queue/queue.data

# Three messages; a byte of the second one, at $lsn, is damaged.
damaged_queue() {
    new_queue --size 32M --segment-size 8M
    start_helper
    mail A0000000001 ready s@x.test a@one.test
    mail A0000000002 ready s@x.test a@one.test b@two.test
    mail A0000000003 deferred s@x.test a@one.test
    lsn=$("$syncq" -c "$conf" cat A0000000002 | sed -n 's/^lsn: //p')
    stop_helper
    offset=$(grep -obUaF "Subject: A0000000002" "$data" |
        head -n 1 | cut -d: -f1)
    poke "$data" "$offset" 'X'
}

test_repair() {
    damaged_queue
    expect 65 "" check
    output_has "bytes at LSN $lsn to"
    output_has "message 1.2"
    output_has "verdict: DAMAGED: 1 places"
    expect 65 "" check --json
    output_lines 1
    output_has '"good":false'
    output_has '"was":"message 1.2"'
    output_has '"parts_lost":2'

    # Recovery finds it, and says so until it is repaired.
    rm "$work/queue/queue.index"
    start_helper
    grep -q 'recovered: .*segments=2/2.*damaged=1' "$work/sync.log" ||
        fail "no word of recovery: $(cat "$work/sync.log")"
    grep -q 'confirmed data is damaged: offset=' "$work/sync.log" ||
        fail "no alarm: $(cat "$work/sync.log")"
    expect 69 "" status
    output_has "DAMAGED:        1 places"
    output_has "NOT WELL:       confirmed data is damaged"
    expect 69 "" status --json
    output_has '"damage":{"places":1,'
    expect 75 "the queue is in use; stop" check --repair
    output_lines 0
    stop_helper

    expect 65 "" check --repair
    output_has "quarantined: 1 places"
    output_has "verdict: repaired; what could be read is kept"
    expect 0 "" check
    output_has "damaged, repaired:"
    output_has "verdict: no damage"
    expect 0 "" check --repair --json
    output_lines 1
    output_has '"quarantined_count":1'
    output_has '"still_failed":false'
    start_helper
    expect 69 "" status
    output_has "repaired:       1 places"
    if grep -q DAMAGED "$work/out"; then fail "still an alarm"; fi
    expect 0 "" list --json
    output_lines 2
    stop_helper
}

test_repair__failed() {
    new_queue --size 32M --segment-size 8M
    start_helper
    mail A0000000001 ready s@x.test a@one.test
    expect 69 "" status --json
    lsn=$(grep -o '"durable_lsn":[0-9]*' "$work/out" | cut -d: -f2)
    stop_helper
    poke "$work/queue/queue.latch" 0 "FAILED $lsn\n"
    expect 65 "" check
    output_has "FAILED: a sync failed at LSN $lsn"
    expect 69 "" status
    output_has "run 'syncq check --repair'"
    "${as_owner[@]}" cp -p "$work/queue/queue.key" "$work/run/key"
    poke "$work/queue/queue.key" 3 '\0001\0002\0003'
    expect 65 "the key does not fit" check --repair
    cp "$work/run/key" "$work/queue/queue.key"
    rm "$work/run/key"
    expect 0 "" check --repair
    output_has "verdict: repaired, nothing is lost"
    expect 0 "" check
    start_helper
    expect 0 "" list --json
    output_lines 1
    stop_helper
}

test_salvage() {
    local rescued=$work/rescued
    damaged_queue
    chmod 777 "$work"
    expect 64 "expected one DIR" salvage
    expect 65 "" salvage "$rescued"
    output_has "2 messages written"
    output_has "1 places of"
    [ "$(stat -c %a:%U "$rescued")" = "700:$owner" ] || fail "its mode"
    [ "$(find "$rescued" -type f -perm 600 | wc -l)" -eq 4 ] || fail "modes"
    expect 0 "" cat --content A0000000003
    cmp "$work/out" "$rescued/1.3.eml" || fail "the text differs"
    grep -q '"authenticated": true' "$rescued/1.3.json" || fail "1.3.json"
    grep -q '"queue_id": "A0000000003"' "$rescued/1.3.json" || fail "1.3.json"
    grep -q '"status": "deferred"' "$rescued/1.3.json" || fail "1.3.json"
    grep -q '"address": "a@one.test"' "$rescued/1.3.json" || fail "1.3.json"
    expect 73 "it is not empty" salvage "$rescued"
    rm -rf "$rescued"

    # A lone file, without a key and with one that is not its own.
    mkdir "$work/lone"
    cp "$data" "$work/lone/file"
    expect 65 "the key file is missing" salvage --data "$work/lone/file" \
        "$rescued"
    [ ! -e "$rescued" ] || fail "a directory for nothing"
    expect 65 "" salvage --data "$work/lone/file" --without-key "$rescued"
    output_has "2 messages written"
    output_has "none of them proven"
    [ "$(find "$rescued" -name 'unauthenticated-*.eml' | wc -l)" -eq 2 ] ||
        fail "$(ls "$rescued")"
    grep -q '"authenticated": false' "$rescued"/*.json || fail "proven?"
    expect 66 "no queue" salvage --data "$work/lone/none" "$work/other"
    rm -rf "$rescued" "$work/lone"
}

test_repair
test_repair__failed
test_salvage
