#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_files.sh - several queue files with a real Postfix
#
# Mail goes in by SMTP, through syncq into two and three queue files, and out
# into a sink that keeps it.  What is tested: mail spreads over both; one that
# is missing at the start, that vanishes while all runs, whose disk fails, or
# that is latched does not stop the other, and its mail comes back with it,
# once; files come and go while all runs; one that holds mail is missed.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C TZ=UTC0

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
shim=${SHIM_MSYNC:-$build/tests/shim_msync.so}
# shellcheck source=tests/scenario.sh
. "$srcdir/scenario.sh"
scenario_begin files
mails=${SYNCQ_TEST_MAILS:-200}
sink=

configure() {
    instance_make "$dir" "$(instance_free_port)"
    instance_sink_start "$dir" "$build" sink
    instance_set "$dir" \
        "relayhost = [127.0.0.1]:$(instance_port "$dir" sink)" \
        "message_size_limit = 3000000" "queue_run_delay = 1s" \
        "minimal_backoff_time = 1000s" "maximal_backoff_time = 4000s"
    instance_add_syncq "$dir" "$build" 64M
    instance_add_file "$dir" disk2
    instance_files "$dir" queue_files syncq disk2
}

# Another sink in place of the last one, at the same port.
new_sink() {
    local port
    port=$(instance_port "$dir" sink)
    for old in "$dir"/pid/sink*; do
        [ ! -e "$old" ] || instance_kill "$dir" "${old##*/}"
    done
    sink=$1
    shift
    echo "$port" >"$dir/$sink.port"
    instance_sink_start "$dir" "$build" "$sink" "$@"
}

load() {
    "$build/tests/mail-load" --port "$(instance_port "$dir" smtp)" \
        --count "$mails" --sessions 20 --domains 10 \
        --sender "$1@load.test" --log "$work/$1.log" \
        >"$work/load" || fail "$(cat "$work/load")"
}

stored() { # stored N: so many mails are in the sink
    [ "$(find "$dir/$sink" -name '*.eml' | wc -l)" -eq "$1" ]
}

compare() { # compare NAME...: what these loads sent is there, once
    local name envelope
    for name in "$@"; do
        mkdir -p "$work/compared/$name"
        for envelope in "$dir/$sink"/*.env; do
            grep -q "MAIL FROM:<$name@load.test>" "$envelope" || continue
            ln "$envelope" "${envelope%.env}.eml" "$work/compared/$name/"
        done
        "$build/tests/mail-load" --compare "$work/$name.log" \
            "$work/compared/$name" || fail "compared: $name"
    done
}

# The part of syncq status about one file.
about() {
    instance_status "$dir" || true
    sed -n "\|^queue: *$dir/$1/queue\$|,/^\$/p" "$dir/log/status"
}

about_has() { # about_has NAME TEXT
    grep -q -- "$2" <<<"$(about "$1")"
}

# How many records a file has taken since its channel was made.
accepted() {
    sed -n 's/^accepted: *\([0-9]*\) records.*/\1/p' <<<"$(about "$1")"
}

postfix_reload() {
    postfix -c "$dir/config" reload >>"$dir/log/start.log" 2>&1
}

# Stored, once what is deferred is tried again: a mail whose first attempt was
# still running at an earlier flush is deferred only after it.
flushed() {
    stored "$1" || { postqueue -c "$dir/config" -f && false; }
}

all_in_use() {
    instance_wait 30 instance_status "$dir" || fail "$(cat "$dir/log/status")"
}

# The milter opens files in the background.
captures() {
    wait_for "$1 is captured into" 20 about_has "$1" '^captures: *on'
}

test_two_files__mail_spreads_over_both() {
    new_sink sink1 --tempfail '*@d[02468].test'
    load spread
    wait_for "half of it" 60 stored $((mails / 2))
    for file in syncq disk2; do
        [ "$(accepted "$file")" -gt 0 ] || fail "$(about "$file")"
        wait_for "deferred in $file" 20 about_has "$file" ' deferred'
    done
    [ "$(instance_syncq "$dir" list --json | wc -l)" -eq $((mails / 2)) ] ||
        fail "not all are listed"
    [ "$(mailq -C "$dir/config" | grep -c '^[0-9A-Za-z]')" -eq \
        $((mails / 2)) ] || fail "mailq lacks some"
}

# Half of the mail is deferred, some of it in each file.
test_missing_at_the_start__the_other_goes_on() {
    local waiting
    waiting=$(instance_syncq "$dir" list --json --file "$dir/disk2/queue" |
        wc -l)
    [ "$waiting" -gt 0 ] || fail "nothing waits in disk2"
    instance_stop "$dir"
    mv "$dir/disk2" "$dir/away"
    new_sink sink1
    # All is not well, so this does not wait for that.
    instance_daemon_start "$dir" sync
    wait_for "helper" 20 about_has syncq '^sync helper: *running'
    instance_daemon_start "$dir" milter
    wait_for "milter" 20 test -S "$dir/queue/syncqmilter/sock"
    postfix -c "$dir/config" start >>"$dir/log/start.log" 2>&1
    captures syncq
    about_has disk2 'NOT WELL: *there is no queue' || fail "$(about disk2)"
    logged "queue $dir/disk2/queue: there is no queue" sync || fail "no line"
    wait_for "the rest of syncq" 30 flushed $((mails - waiting))
    load alone
    wait_for "new mail" 60 stored $((2 * mails - waiting))
    logged 'it is left alone' sync && fail "a copy?"
    mv "$dir/away" "$dir/disk2"
    all_in_use
    wait_for "what had waited" 60 flushed $((2 * mails))
    wait_for "empty" 30 instance_is_empty "$dir"
    compare spread alone
}

worker_pid() { # worker_pid NAME: the helper's process for that file
    pgrep -P "$(instance_pid "$dir" sync)" -f "$dir/$1/queue"
}

test_vanishes_while_running__the_other_goes_on() {
    local waiting worker
    new_sink sink2 --tempfail '*'
    load vanish
    wait_for "all deferred" 60 eval \
        "[ \"\$(instance_syncq '$dir' list --json --status deferred | wc -l)\" \
            -eq $mails ]"
    waiting=$(instance_syncq "$dir" list --json --file "$dir/disk2/queue" |
        wc -l)
    worker=$(worker_pid disk2)
    mv "$dir/disk2" "$dir/away"
    kill -9 "$worker"
    wait_for "it is missed" 20 about_has disk2 'NOT WELL'
    about_has syncq '^sync helper: *running' || fail "$(about syncq)"
    new_sink sink2
    instance_wait 20 test -e "$dir/sink2" || fail "no sink"
    load without
    wait_for "new mail" 60 stored "$mails"
    mv "$dir/away" "$dir/disk2"
    all_in_use
    wait_for "what had waited ($waiting)" 60 flushed $((2 * mails))
    wait_for "empty" 30 instance_is_empty "$dir"
    compare vanish without
}

# The next msync of disk2's data file fails.
test_disk_fails__the_other_goes_on() {
    local control=$dir/disk2/queue/shim # what a fenced worker may open
    [ -e "$shim" ] || fail "there is no $shim"
    new_sink sink3
    instance_kill "$dir" sync
    mkdir "$control"
    mkfifo "$control/reached" "$control/release"
    chown -R "$instance_mail_owner" "$control"
    export LD_PRELOAD=$shim SHIM_MSYNC_DIRECTORY=$control
    export SHIM_MSYNC_FILE=$dir/disk2/queue/queue.data
    export ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}
    instance_daemon_start "$dir" sync
    unset LD_PRELOAD
    all_in_use
    captures disk2
    captures syncq
    touch "$control/hold"
    load failing &
    read -r -n 1 -t 20 _ <>"$control/reached" || fail "nothing was synced"
    rm "$control/hold"
    printf e >"$control/release"
    wait $! || fail "mail was refused"
    wait_for "it has failed" 20 about_has disk2 '^FAILED'
    about_has syncq 'NOT WELL' && fail "$(about syncq)"
    load failed
    wait_for "all of it" 60 stored $((2 * mails))
    wait_for "empty" 30 instance_is_empty "$dir"
    compare failing failed
    logged "$dir/disk2/queue: the sync of the data file failed" sync ||
        fail "no line"
}

test_latched_at_the_start__the_other_goes_on() {
    new_sink sink4
    instance_kill "$dir" sync
    instance_daemon_start "$dir" sync
    wait_for "helper" 20 about_has syncq '^sync helper: *running'
    logged "queue $dir/disk2/queue: a sync of the queue failed" sync ||
        fail "no line"
    load latched
    wait_for "all of it" 60 stored "$mails"
    compare latched
    # Nothing is left in it, so it is good for the tests below.
    instance_stop "$dir"
    rm -r "$dir/disk2"
    instance_add_file "$dir" disk2
    rm -f "$dir/syncq/queue/queue.set"
    instance_start "$dir"
}

test_added_while_running__takes_mail() {
    new_sink sink5 --tempfail '*'
    instance_add_file "$dir" disk3
    instance_files "$dir" queue_files syncq disk2 disk3
    kill -HUP "$(instance_pid "$dir" sync)"
    postfix_reload
    # The milter is fenced in: it opens what it knew at its start.
    instance_kill "$dir" milter
    instance_daemon_start "$dir" milter
    all_in_use
    captures disk3
    load added
    wait_for "all deferred" 60 eval \
        "[ \"\$(instance_syncq '$dir' list --json --status deferred | wc -l)\" \
            -eq $mails ]"
    about_has disk3 ' deferred' || fail "$(about disk3)"
}

test_dropped_with_mail__is_missed() {
    instance_files "$dir" queue_files syncq disk2
    kill -HUP "$(instance_pid "$dir" sync)"
    kill -USR1 "$(instance_pid "$dir" milter)"
    postfix_reload
    wait_for "an alarm in the log" 20 logged \
        "queue $dir/disk3/queue: this queue file .* was in use and is not" sync
    wait_for "an alarm in status" 20 about_has disk3 \
        'NOT WELL: *this queue file'
    wait_for "the others" 20 about_has syncq '^queue manager: *running'
    new_sink sink6 --tempfail '*'
    load dropped
    # Also after a new start.
    instance_kill "$dir" sync
    instance_daemon_start "$dir" sync
    wait_for "helper" 20 about_has syncq '^sync helper: *running'
    about_has disk3 'NOT WELL: *this queue file' || fail "forgotten"
}

test_drained__may_be_removed() {
    local taken
    instance_files "$dir" drain_files disk3
    kill -HUP "$(instance_pid "$dir" sync)"
    kill -USR1 "$(instance_pid "$dir" milter)"
    postfix_reload
    all_in_use
    about_has disk3 '^draining: *[1-9][0-9]* parts left' ||
        fail "$(about disk3)"
    taken=$(instance_syncq "$dir" list --json --file "$dir/disk3/queue" |
        wc -l)
    load draining
    [ "$(instance_syncq "$dir" list --json --file "$dir/disk3/queue" |
        wc -l)" -eq "$taken" ] || fail "it has taken mail"
    new_sink sink7
    wait_for "all mail" 60 flushed $((3 * mails))
    compare added dropped draining
    wait_for "drained" 20 about_has disk3 'drained: may be removed'
    wait_for "the helper says so" 20 logged 'disk3/queue: drained' sync
    instance_files "$dir" drain_files
    kill -HUP "$(instance_pid "$dir" sync)"
    kill -USR1 "$(instance_pid "$dir" milter)"
    postfix_reload
    wait_for "gone" 20 logged 'disk3/queue: was drained and is no longer' sync
    all_in_use
    [ -z "$(about disk3)" ] || fail "$(about disk3)"
    load last
    wait_for "all mail" 60 stored $((4 * mails))
}

configure
instance_start "$dir"
run_tests "^$" \
    test_two_files__mail_spreads_over_both \
    test_missing_at_the_start__the_other_goes_on \
    test_vanishes_while_running__the_other_goes_on \
    test_disk_fails__the_other_goes_on \
    test_latched_at_the_start__the_other_goes_on \
    test_added_while_running__takes_mail \
    test_dropped_with_mail__is_missed \
    test_drained__may_be_removed
