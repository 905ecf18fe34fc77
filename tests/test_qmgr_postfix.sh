#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_qmgr_postfix.sh - the queue manager under master(8), when things end
#
# A private Postfix with pipe transports whose commands the test controls:
# "quick" delivers at once, "gated" waits until the test opens a gate.  Each
# writes one line for each delivery.  What is tested: mail goes out without a
# queue; nothing is repeated after the manager was killed or stopped in the
# middle of a delivery, nor by a reload; held mail is released;
# a queue that becomes larger is used; a configuration that cannot be used says
# so and is read again.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C TZ=UTC0

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
# shellcheck source=tests/scenario.sh
. "$srcdir/scenario.sh"
scenario_begin qmgr
ended_log=$work/results/ended

configure() {
    mkdir -p "$work/results"
    chown "$instance_user" "$work/results"
    cat >"$work/deliver" <<END
#!/bin/sh
# deliver MODE RECIPIENT
cat >/dev/null
echo "\$2" >>$work/results/begun
while [ "\$1" = gated ] && [ ! -e $work/open ]; do sleep 0.05; done
echo "\$2" >>$ended_log
END
    chmod 755 "$work/deliver"
    instance_make "$dir" "$(instance_free_port)"
    instance_set "$dir" "default_transport = quick:" \
        "transport_maps = inline:{ gated.test=gated: none.test=nosuch: }" \
        "smtpd_sender_restrictions = check_recipient_access \
inline:{ {held@one.test = FILTER syncq-hold:for the test} }" \
        "minimal_backoff_time = 1s" "maximal_backoff_time = 2s" \
        "transport_retry_time = 1s"
    local mode
    for mode in quick gated; do
        instance_service "$dir" "$mode unix - n n - - pipe \
flags=q user=$instance_user argv=$work/deliver $mode \${recipient}"
    done
    instance_add_syncq "$dir" "$build" 64M
    # The manager has to come back by itself, not by the next wakeup.
    sed -i '/^qmgr /s/ 5 / 300 /' "$dir/config/master.cf"
}

mail() {
    printf 'Subject: test\n\nhello\n' |
        MAIL_CONFIG=$dir/config /usr/sbin/sendmail -C "$dir/config" \
            -f me@one.test "$@"
}

smtp() {
    (exec 3<>"/dev/tcp/127.0.0.1/$(instance_port "$dir" smtp)" &&
        printf '%s\r\n' "EHLO test" "MAIL FROM:<me@one.test>" \
            "RCPT TO:<$1>" DATA >&3 && sleep 0.3 &&
        printf 'Subject: t\r\n\r\nx\r\n.\r\nQUIT\r\n' >&3 && cat <&3) \
        >"$work/smtp" 2>&1 || true
    grep -q 'queued as' "$work/smtp"
}

manager_pid() {
    pgrep -f "syncq-qmgr.*$dir/syncq/syncq.conf"
}

count() {
    grep -c -x -- "$2" "$work/results/$1" 2>/dev/null || true
}

has_count() {
    [ "$(count "$1" "$2")" = "$3" ]
}

manager_changed() {
    local pid
    pid=$(manager_pid) && [ "$pid" != "$1" ]
}

is_idle() {
    instance_is_empty "$dir"
}

test_without_a_queue__mail_goes_out_from_files() {
    postfix -c "$dir/config" start >"$dir/log/start.log" 2>&1
    mail files@one.test bad@none.test
    wait_for "delivered from the file" 10 has_count ended files@one.test 1
    wait_for "deferred" 10 logged 'status=deferred (mail transport unavail'
    instance_daemon_start "$dir" sync
    wait_for "queue in use" 20 logged 'queue: in use'
    mail imported@one.test
    wait_for "delivered by import" 10 has_count ended imported@one.test 1
    instance_daemon_start "$dir" milter
    wait_for "milter" 20 test -S "$dir/queue/syncqmilter/sock"
    postsuper -c "$dir/config" -d ALL deferred >/dev/null 2>&1 || true
}

test_killed_in_a_delivery__nothing_is_repeated() {
    local old
    rm -f "$work/open"
    smtp slow@gated.test || fail "not accepted: $(cat "$work/smtp")"
    mail quick@one.test slow2@gated.test
    wait_for "begun" 10 has_count begun slow@gated.test 1
    wait_for "begun" 10 has_count begun slow2@gated.test 1
    wait_for "quick" 10 has_count ended quick@one.test 1
    old=$(manager_pid)
    kill -9 "$old"
    wait_for "a new manager" 10 manager_changed "$old"
    smtp after@one.test || fail "not accepted after the kill"
    wait_for "next mail" 10 has_count ended after@one.test 1
    touch "$work/open"
    wait_for "removed" 15 has_count ended slow@gated.test 1
    wait_for "removed" 15 has_count ended slow2@gated.test 1
    sleep 2.5 # a repetition would come with the next look at the left-overs
    has_count begun slow@gated.test 1 || fail "slow was repeated"
    has_count begun slow2@gated.test 1 || fail "slow2 was repeated"
    has_count ended quick@one.test 1 || fail "quick was repeated"
}

test_stopped_in_a_delivery__only_the_rest_is_delivered() {
    rm -f "$work/open"
    smtp rest@gated.test || fail "not accepted"
    mail first@one.test rest2@gated.test
    wait_for "begun" 10 has_count begun rest2@gated.test 1
    wait_for "first" 10 has_count ended first@one.test 1
    postfix -c "$dir/config" stop >>"$dir/log/start.log" 2>&1
    touch "$work/open"
    postfix -c "$dir/config" start >>"$dir/log/start.log" 2>&1
    wait_for "rest" 15 has_count ended rest2@gated.test 1
    wait_for "empty" 15 is_idle
    has_count ended first@one.test 1 || fail "first was repeated"
}

gate_says() {
    { instance_syncq "$dir" status 2>/dev/null || true; } |
        grep -q "^captures: *$1"
}

reload() {
    local old
    old=$(manager_pid)
    postfix -c "$dir/config" reload >>"$dir/log/start.log" 2>&1
    wait_for "a new manager" 10 manager_changed "$old"
}

test_reload__each_time_the_configuration_is_read() {
    instance_set "$dir" "milter_header_checks = static:DUNNO"
    reload
    wait_for "gate closed" 5 gate_says 'refused.*milter_header_checks'
    mail gate@one.test
    wait_for "delivered" 10 has_count ended gate@one.test 1
    instance_set "$dir" "milter_header_checks ="
    reload
    wait_for "gate open" 5 gate_says on
}

test_reload_in_a_delivery__nothing_is_repeated() {
    rm -f "$work/open"
    mail fast@one.test slow3@gated.test
    wait_for "begun" 10 has_count begun slow3@gated.test 1
    reload
    touch "$work/open"
    wait_for "delivered" 15 has_count ended slow3@gated.test 1
    wait_for "empty" 15 is_idle
    has_count begun slow3@gated.test 1 || fail "slow3 was repeated"
    has_count ended fast@one.test 1 || fail "fast was repeated"
}

test_hold__released_by_the_administrator() {
    smtp held@one.test || fail "not accepted"
    wait_for "held" 10 logged 'held: for the test'
    has_count ended held@one.test 0 || fail "was delivered"
    [ "$(instance_syncq "$dir" release --all)" = "released 1" ] ||
        fail "release"
    wait_for "delivered" 10 has_count ended held@one.test 1
}

# Milter and manager go on with segments and entries that were not there when
# they started.
test_grown_in_a_delivery__new_entries_are_used() {
    local old
    old=$(manager_pid)
    rm -f "$work/open"
    smtp before@gated.test || fail "not accepted"
    wait_for "begun" 10 has_count begun before@gated.test 1
    instance_syncq "$dir" grow --size 96M --entries 400000 || fail "grow"
    smtp grown@one.test || fail "not accepted after it"
    wait_for "delivered" 10 has_count ended grown@one.test 1
    smtp grown2@gated.test || fail "not accepted"
    wait_for "begun" 10 has_count begun grown2@gated.test 1
    touch "$work/open"
    wait_for "delivered" 10 has_count ended before@gated.test 1
    wait_for "delivered" 10 has_count ended grown2@gated.test 1
    wait_for "empty" 15 is_idle
    [ "$(manager_pid)" = "$old" ] || fail "the manager did not live on"
    instance_syncq "$dir" status --json >"$work/status" || true
    grep -q '"entries":400000,' "$work/status" || fail "not grown"
}

test_bad_configuration__says_so_and_is_read_again() {
    postfix -c "$dir/config" stop >>"$dir/log/start.log" 2>&1
    echo "nonsense = yes" >>"$dir/syncq/syncq.conf"
    postfix -c "$dir/config" start >>"$dir/log/start.log" 2>&1
    mail late@one.test
    wait_for "one clear line" 10 logged 'syncq.conf:.*nonsense'
    [ "$(grep -c 'syncq.conf:.*nonsense' "$dir/log/mail.log")" = 1 ] ||
        fail "more than one line"
    sed -i '/^nonsense/d' "$dir/syncq/syncq.conf"
    postfix -c "$dir/config" reload >>"$dir/log/start.log" 2>&1
    wait_for "delivered" 15 has_count ended late@one.test 1
}

configure
run_tests 'nonsense' \
    test_without_a_queue__mail_goes_out_from_files \
    test_killed_in_a_delivery__nothing_is_repeated \
    test_stopped_in_a_delivery__only_the_rest_is_delivered \
    test_reload__each_time_the_configuration_is_read \
    test_reload_in_a_delivery__nothing_is_repeated \
    test_hold__released_by_the_administrator \
    test_grown_in_a_delivery__new_entries_are_used \
    test_bad_configuration__says_so_and_is_read_again
