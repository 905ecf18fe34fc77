#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_space.sh - a small queue that much deferred mail keeps nearly full
#
# A fifth of all mail finds its destination closed.  Several times the size of
# the queue file goes through it: every mail is taken, the rest is delivered,
# and what waits is moved out of the way, is there after the index was lost,
# and is delivered once when its destination opens.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C TZ=UTC0

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
# shellcheck source=tests/scenario.sh
. "$srcdir/scenario.sh"
scenario_begin space
mails=${SYNCQ_TEST_MAILS:-240}

configure() {
    instance_make "$dir" "$(instance_free_port)"
    instance_sink_start "$dir" "$build" sink --tempfail '*@d[05].test'
    instance_set "$dir" \
        "relayhost = [127.0.0.1]:$(instance_port "$dir" sink)" \
        "message_size_limit = 3000000" "minimal_backoff_time = 1000s"
    instance_add_syncq "$dir" "$build" 64M
    instance_start "$dir"
}

make_mails() {
    local i
    mkdir "$work/mails"
    for ((i = 0; i < mails; i++)); do
        printf '%s: %s\n' From load@load.test To "you <you@$i.test>" \
            Date 'Sun, 22 Nov 2026 12:00:00 +0000' Subject "$i" \
            Message-ID "<$i@load.test>" >"$work/mails/$(printf %05d "$i")"
        echo >>"$work/mails/$(printf %05d "$i")"
        head -c 500000 /dev/urandom | base64 \
            >>"$work/mails/$(printf %05d "$i")"
    done
}

stored() { # stored SINK N: so many mails are there
    [ "$(find "$dir/$1" -name '*.eml' | wc -l)" -eq "$2" ]
}

# So many mails wait.  A burst that is faster than the cleaner of so small a
# queue may leave some of them to Postfix's own files: they count, too.
waiting() {
    [ "$(postqueue -c "$dir/config" -j | wc -l)" -eq "$1" ]
}

status_has() {
    instance_status "$dir" || true
    grep -q -- "$1" "$dir/log/status"
}

test_nearly_full__all_taken_and_the_rest_delivered() {
    make_mails
    "$build/tests/mail-load" --port "$(instance_port "$dir" smtp)" \
        --mail "$work/mails" --sessions 1 --domains 10 --log "$work/load.log" \
        >"$work/load" || fail "$(cat "$work/load")"
    wait_for "four fifths" 60 stored sink $((mails * 4 / 5))
    wait_for "a fifth waits" 60 waiting $((mails / 5))
    status_has '^moved: *[1-9]' || fail "nothing was moved"
    status_has '^space in use: *[4-8][0-9] %' || fail "not as full as that"
}

test_index_lost__what_waits_is_there_and_delivered_once() {
    local port
    port=$(instance_port "$dir" sink)
    instance_stop "$dir"
    rm "$dir/syncq/queue/queue.index"
    echo "$port" >"$dir/sink.port"
    instance_sink_start "$dir" "$build" sink
    instance_start "$dir"
    wait_for "in use" 20 status_has '^queue manager: *running'
    wait_for "a fifth, and not more" 20 waiting $((mails / 5))
    stored sink $((mails * 4 / 5)) || fail "delivered mail came back"
    postqueue -c "$dir/config" -f
    wait_for "all of it" 60 instance_is_empty "$dir"
    "$build/tests/mail-load" --compare "$work/load.log" "$dir/sink" ||
        fail "compared"
}

configure
run_tests "^$" \
    test_nearly_full__all_taken_and_the_rest_delivered \
    test_index_lost__what_waits_is_there_and_delivered_once
