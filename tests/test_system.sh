#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_system.sh - all programs with a real Postfix, when things go wrong
#
# Mail goes in by SMTP, through syncq, out by Postfix's smtp agent into a sink
# that keeps it.  What is tested: a dead destination until the bounce has been
# delivered; the index lost, of an earlier time, and lost with a damaged
# marks record; a closed gate; a failed sync.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C TZ=UTC0

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
shim=${SHIM_MSYNC:-$build/tests/shim_msync.so}
# shellcheck source=tests/scenario.sh
. "$srcdir/scenario.sh"
scenario_begin system
mails=${SYNCQ_TEST_MAILS:-1000}

configure() {
    instance_make "$dir" "$(instance_free_port)"
    instance_sink_start "$dir" "$build" sink
    instance_set "$dir" \
        "relayhost = [127.0.0.1]:$(instance_port "$dir" sink)" \
        "transport_maps = inline:{ dead.test=smtp:[127.0.0.1]:1 }" \
        "message_size_limit = 30000000" "queue_run_delay = 1s"
    instance_add_syncq "$dir" "$build" 256M
    instance_start "$dir"
}

# Another sink in place of the last one, at the same port.
new_sink() {
    local name=$1 port
    shift
    port=$(instance_port "$dir" sink)
    for old in "$dir"/pid/sink*; do
        [ ! -e "$old" ] || instance_kill "$dir" "${old##*/}"
    done
    echo "$port" >"$dir/$name.port"
    instance_sink_start "$dir" "$build" "$name" "$@"
}

mail() {
    printf 'Subject: test\n\nhello\n' |
        MAIL_CONFIG=$dir/config /usr/sbin/sendmail -C "$dir/config" \
            -f me@sender.test "$@"
}

reload() {
    postfix -c "$dir/config" reload >>"$dir/log/start.log" 2>&1
}

stored() { # stored SINK N: so many mails are there
    [ "$(find "$dir/$1" -name '*.eml' | wc -l)" -eq "$2" ]
}

# status_has TEXT: a line of syncq status
status_has() {
    instance_status "$dir" || true
    grep -q -- "$1" "$dir/log/status"
}

sender_was_told() {
    grep -l -r 'RCPT TO:<me@sender.test>' "$dir/sink" >/dev/null
}

test_dead_destination__tried_again_bounced_and_the_bounce_delivered() {
    instance_set "$dir" "minimal_backoff_time = 1s" \
        "maximal_backoff_time = 1s" "maximal_queue_lifetime = 6s" \
        "bounce_queue_lifetime = 6s"
    reload
    mail you@dead.test
    wait_for "the reason in mailq" 10 eval \
        "mailq -C '$dir/config' | grep -q 'Connection refused'"
    wait_for "expired" 30 logged 'status=expired, returned to sender'
    [ "$(grep -c 'to=<you@dead.test>.*status=deferred' \
        "$dir/log/mail.log")" -ge 3 ] || fail "was not tried again"
    wait_for "a bounce" 15 sender_was_told
    wait_for "empty" 15 instance_is_empty "$dir"
    grep -q 'Connection refused' "$dir"/sink/*.eml || fail "no reason in it"
    # The bounce came through incoming/ and was imported: two messages.
    status_has '^parts: *2 done' || fail "the bounce was not imported"
    instance_set "$dir" "minimal_backoff_time = 1000s" \
        "maximal_backoff_time = 4000s" "maximal_queue_lifetime = 5d" \
        "bounce_queue_lifetime = 5d"
    reload
}

# Half of the domains answer 450: that mail waits.
deliver_half() {
    local name=$1
    new_sink "$name" --tempfail '*@d[02468].test'
    "$build/tests/mail-load" --port "$(instance_port "$dir" smtp)" \
        --count "$mails" --sessions 20 --domains 10 --log "$work/$name.log" \
        >"$work/load" || fail "$(cat "$work/load")"
    wait_for "half of it" 60 stored "$name" $((mails / 2))
    wait_for "the rest deferred" 60 status_has " $((mails / 2)) deferred"
}

deliver_rest() {
    local name=$1
    shift
    postqueue -c "$dir/config" -f
    wait_for "all of it" 60 instance_is_empty "$dir"
    "$build/tests/mail-load" --compare "$work/$name.log" "$@" "$dir/$name" ||
        fail "compared"
}

restart_with_open_sink() {
    local name=$1
    new_sink "$name"
    instance_start "$dir"
    wait_for "in use" 20 status_has '^queue manager: *running'
}

test_index_lost__the_other_half_is_delivered_once() {
    deliver_half sink1
    instance_stop "$dir"
    rm "$dir/syncq/queue/queue.index"
    restart_with_open_sink sink1
    logged 'index was missing' sync || fail "nothing was replayed"
    status_has " $((mails / 2)) deferred" || fail "not exactly the other half"
    deliver_rest sink1
}

test_index_of_yesterday__the_other_half_is_delivered_once() {
    instance_stop "$dir"
    cp -p "$dir/syncq/queue/queue.index" "$work/yesterday"
    restart_with_open_sink sink2
    deliver_half sink2
    instance_stop "$dir"
    cp -p "$work/yesterday" "$dir/syncq/queue/queue.index"
    restart_with_open_sink sink2
    logged 'index was older' sync || fail "it was believed"
    status_has " $((mails / 2)) deferred" || fail "not exactly the other half"
    deliver_rest sink2
}

# Break a marks record in the data file; not the last one, which nothing behind
# it proves to have been durable.
damage_marks() {
    local file=$dir/syncq/queue/queue.data at
    at=$(grep -obUaP '\xfc\x58\x84\x85\x01\x04' "$file" | tail -n 2 |
        head -n 1 | cut -d: -f1)
    [ -n "$at" ] || fail "there is no marks record"
    printf 'XXXX' | dd of="$file" bs=1 seek=$((at + 130)) conv=notrunc \
        status=none
}

test_marks_damaged__held_until_released() {
    deliver_half sink3
    instance_stop "$dir"
    damage_marks
    rm "$dir/syncq/queue/queue.index"
    restart_with_open_sink sink3
    logged 'marks may be missing' sync || fail "no alarm"
    status_has 'held' || fail "nothing is on hold"
    stored sink3 $((mails / 2)) || fail "delivered without being asked"
    [[ $(instance_syncq "$dir" release --all) == released* ]] ||
        fail "release"
    # What the lost marks knew may go out twice: that is what was asked.
    deliver_rest sink3 --allow-duplicates
}

test_gate_closed__mail_goes_the_stock_way_once() {
    new_sink sink4
    instance_set "$dir" \
        'milter_header_checks = regexp:{ {/^X-Nothing:/ DUNNO} }'
    reload
    wait_for "closed" 10 status_has 'milter_header_checks'
    mail gated@one.test
    wait_for "delivered" 15 stored sink4 1
    logged 'gate' milter || fail "the milter gives no reason"
    instance_set "$dir" 'milter_header_checks =' \
        'smtpd_recipient_restrictions = check_recipient_access inline:{ hold.test=HOLD }, permit_mynetworks, reject'
    reload
    wait_for "closed again" 10 status_has 'HOLD'
    smtp_to x@hold.test
    wait_for "on hold" 10 eval \
        "mailq -C '$dir/config' | grep -q '^[0-9A-Za-z]*!'"
    stored sink4 1 || fail "HOLD was ignored"
    postsuper -c "$dir/config" -H ALL >>"$dir/log/start.log" 2>&1
    postqueue -c "$dir/config" -f
    wait_for "delivered after the hold" 15 stored sink4 2
    wait_for "empty" 15 instance_is_empty "$dir"
    stored sink4 2 || fail "delivered twice"
    instance_set "$dir" 'smtpd_recipient_restrictions ='
    reload
    wait_for "open" 10 eval "! status_has 'HOLD'"
}

smtp_to() {
    (exec 3<>"/dev/tcp/127.0.0.1/$(instance_port "$dir" smtp)" &&
        read -r _ <&3 &&
        printf 'EHLO test\r\n' >&3 && read_reply &&
        printf 'MAIL FROM:<me@sender.test>\r\n' >&3 && read_reply &&
        printf 'RCPT TO:<%s>\r\n' "$1" >&3 && read_reply &&
        printf 'DATA\r\n' >&3 && read_reply &&
        printf 'Subject: t\r\n\r\nx\r\n.\r\n' >&3 && read_reply &&
        printf 'QUIT\r\n' >&3 && cat <&3 >/dev/null)
}

# The helper is started anew with a shim whose next msync fails.
test_sync_fails_once__postfix_goes_on_by_itself() {
    local control=$dir/syncq/run/shim # what a fenced helper may open
    [ -e "$shim" ] || fail "there is no $shim"
    new_sink sink5
    instance_kill "$dir" milter
    instance_kill "$dir" sync
    mkdir "$control"
    mkfifo "$control/reached" "$control/release"
    chown -R "$instance_mail_owner" "$control"
    export LD_PRELOAD=$shim SHIM_MSYNC_DIRECTORY=$control
    export SHIM_MSYNC_FILE=$dir/syncq/queue/queue.data
    export ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-}
    instance_daemon_start "$dir" sync
    unset LD_PRELOAD
    wait_for "helper" 20 instance_helper_runs "$dir"
    instance_daemon_start "$dir" milter
    wait_for "milter" 20 test -S "$dir/queue/syncqmilter/sock"
    wait_for "captures" 20 instance_serves "$dir"
    touch "$control/hold"
    smtp_to first@one.test &
    read -r -n 1 -t 20 _ <>"$control/reached" || fail "nothing was synced"
    rm "$control/hold"
    printf e >"$control/release"
    wait $! || fail "the client got no 250"
    wait_for "delivered by Postfix" 20 stored sink5 1
    if instance_serves "$dir"; then
        fail "syncq status says all is well"
    fi
    grep -q FAILED "$dir/log/status" || fail "$(cat "$dir/log/status")"
    smtp_to second@one.test
    wait_for "mail flows on" 20 stored sink5 2
    logged 'sync of the data file failed' sync || fail "no line in the log"
}

read_reply() {
    local line
    while read -r -t 20 line <&3; do
        [[ $line =~ ^[0-9]{3}- ]] || break
    done
    [[ $line =~ ^[23] ]]
}

configure
run_tests "^$" \
    test_dead_destination__tried_again_bounced_and_the_bounce_delivered \
    test_index_lost__the_other_half_is_delivered_once \
    test_index_of_yesterday__the_other_half_is_delivered_once \
    test_marks_damaged__held_until_released \
    test_gate_closed__mail_goes_the_stock_way_once \
    test_sync_fails_once__postfix_goes_on_by_itself
