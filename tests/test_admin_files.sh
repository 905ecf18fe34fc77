#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_admin_files.sh - the administrator's command on several queue files
set -euo pipefail
srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/admin.sh
. "$srcdir/admin.sh"
second=$work/second

# in_second ID STATUS SENDER RECIPIENT...: as mail, into the other file
in_second() {
    local uuid
    uuid=$("$syncq" -c "$conf" status --file "$second" --json |
        sed 's/.*"uuid":"\([0-9a-f]*\)".*/\1/' || true)
    printf 'Subject: %s\n\nin the second\n' "$1" |
        "${as_owner[@]}" "$build/tests/test_admin_fill" "$second" \
            "$work/run/$uuid" "$@"
}

status_has() { # status_has WORDS COUNT
    [ "$("$syncq" -c "$conf" status 2>&1 | grep -c -- "$1")" -eq "$2" ]
}

wait_for() { # wait_for WORDS COUNT: so many lines of status have them
    local deadline=$((SECONDS + 20))
    until status_has "$1" "$2"; do
        ((SECONDS < deadline)) ||
            fail "no '$1': $("$syncq" -c "$conf" status 2>&1)"
        sleep 0.05
    done
}

make_two() {
    new_queue --size 32M
    rm -rf "$second"
    echo "queue_files = $work/queue, $second" >>"$conf"
    expect 64 "choose one with --file" create --size 32M
    expect 64 "absolute path" create --file second --size 32M
    expect 0 "" create --file "$second" --size 32M
    expect 73 "it exists already" create --file="$second" --size 32M
    start_helper
    wait_for '^sync helper: *running' 2
}

test_all_verbs__both_files() {
    mail A1 held s@x.test a@one.test
    in_second B1 held s@x.test a@one.test
    in_second B2 deferred s@x.test b@two.test
    expect 0 "" list
    output_lines 4 # with the heading
    expect 0 "" list --json
    output_lines 3
    output_has "\"queue_directory\":\"$second\",\"sequence\":\"1.1\""
    output_has "\"queue_directory\":\"$work/queue\",\"sequence\":\"1.1\""
    expect 0 "" list --json --file "$second"
    output_lines 2
    expect 0 "" cat B1
    output_has "in the second"
    expect 66 "2 messages have this id" cat 1.1
    expect 0 "" cat --file "$second" 1.1
    output_has "queue_id: B1"
    expect 66 "there is no such message" cat --file "$work/queue" B1
    expect 0 "" check
    [ "$(grep -c '^verdict: no damage$' "$work/out")" -eq 2 ] ||
        fail "$(cat "$work/out")"
    output_has "queue $second:"
    expect 69 "" status --json
    [[ $(cat "$work/out") == \[*\] ]] || fail "no array: $(cat "$work/out")"
    output_has "\"queue_directory\":\"$second\""
    expect 69 "" status --json --file "$second"
    [[ $(cat "$work/out") == \{*\} ]] || fail "no object: $(cat "$work/out")"
}

test_release__without_a_manager__in_the_right_file() {
    expect 66 "Z9: no held message has this id" release Z9
    expect 66 "Z9: no held message has this id" release B1 Z9
    output_has "released 1"
    expect 0 "" release --file "$work/queue" --all
    output_has "released 1"
    expect 0 "" release --all
    output_has "released 0"
}

test_release__by_the_manager__for_one_file() {
    start_manager '{"ok":true,"released":7}'
    expect 0 "" release --file "$second" --all
    output_has "released 7"
    stop_manager
}

test_missing_file__the_other_is_shown() {
    mv "$second" "$second.away"
    expect 66 "there is no queue in this directory" list
    output_has A1
    expect 0 "there is no queue in this directory" cat A1
    "$syncq" -c "$conf" status >"$work/out" 2>&1 && fail "all is well?"
    output_has "NOT WELL:       there is no queue in this directory"
    output_has "queue:          $work/queue"
    mv "$second.away" "$second"
}

test_drain__only_then_it_may_go() {
    sed -i '/^queue_files/d' "$conf"
    echo "queue_files = $work/queue" >>"$conf"
    "$syncq" -c "$conf" status >"$work/out" 2>&1 && fail "all is well?"
    output_has "queue:          $second"
    output_has "this queue file was in use and is not drained"
    echo "drain_files = $second" >>"$conf"
    "$syncq" -c "$conf" status >"$work/out" 2>&1 || true
    output_has "draining:       2 parts left"
    output_has "send it SIGHUP"
    kill -HUP "$helper"
    wait_for 'send it SIGHUP' 0
    printf 'x\n' | "${as_owner[@]}" "$build/tests/test_admin_fill" "$second" \
        "$(find "$work/run" -mindepth 1 -type d)" C1 held \
        s@x.test a@one.test 2>"$work/err" && fail "it has taken mail"
    grep -q "being drained" "$work/err" || fail "$(cat "$work/err")"
    stop_helper
}

make_two
test_all_verbs__both_files
test_release__without_a_manager__in_the_right_file
test_release__by_the_manager__for_one_file
test_missing_file__the_other_is_shown
test_drain__only_then_it_may_go
