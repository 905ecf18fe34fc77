#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_showq.sh - Postfix's own postqueue reads what syncq-showq sends
#
# Two listings of one private instance, which has messages in every queue of
# Postfix: stock showq's and ours must be equal.  Then with messages in our
# queue: their states, reasons and odd addresses.  And without Postfix running.
set -euo pipefail
export LC_ALL=C TZ=UTC

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
# shellcheck source=tests/instance.sh
. "$srcdir/instance.sh"
instance_require_root

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-showq.XXXXXX")
chmod 755 "$work"
dir=$work/instance

clean_up() {
    local code=$?
    [ "$code" -eq 0 ] || echo "ended with exit code $code" >&2
    instance_stop "$dir" || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    tail -n 5 "$dir"/log/mail.log >&2 || true
    exit 1
}

expect() {
    [ "$2" = "$3" ] || fail "$1: expected: $2; got: $3"
}

queue() {
    postqueue -c "$dir/config" "$@"
}

# ---- an instance with our services -----------------------------------------

# As instance_add_syncq, but only showq is swapped, and Postfix's queue manager
# is kept from touching what the test lays out.
make_instance() {
    local owner=$instance_mail_owner
    instance_make "$dir" "$(instance_free_port)"
    mkdir -p "$dir/syncq"
    echo "$build" >"$dir/syncq/build"
    cat >"$dir/syncq/syncq.conf" <<END
queue_directory = $dir/syncq/queue
run_directory = $dir/syncq/run
mail_owner = $owner
END
    case $(stat -f -c %T "$dir/syncq") in
        ext2/ext3 | xfs) ;;
        *) echo "allow_any_filesystem = yes" >>"$dir/syncq/syncq.conf" ;;
    esac
    instance_syncq "$dir" create --size 64M
    # Where a syncq-showq that is started without options finds it.
    ln -s "$dir/syncq/syncq.conf" "$dir/config/syncq.conf"
    instance_set "$dir" "defer_transports = smtp, relay, local"
}

mail() {
    printf 'Subject: test\n\nhello\n' |
        MAIL_CONFIG=$dir/config /usr/sbin/sendmail -C "$dir/config" "$@"
}

fill() {
    printf 'Received: by test\nSubject: test\n\nbody\n' |
        setpriv --reuid="$instance_mail_owner" --regid="$(id -g \
            "$instance_mail_owner")" --clear-groups "$build/tests/test_admin_fill" \
            "$dir/syncq/queue" "$dir/syncq/run" "$@"
}

deferred_count() {
    [ "$(find "$dir/queue/deferred" -type f | wc -l)" -ge "$1" ] &&
        [ -z "$(find "$dir/queue/incoming" "$dir/queue/active" -type f)" ]
}

# Messages in maildrop, incoming, active, deferred and hold.
fill_postfix() {
    postfix -c "$dir/config" start >"$dir/log/start.log" 2>&1 ||
        fail "Postfix does not start: $(cat "$dir/log/start.log")"
    mail -f sender@x.test a@one.test b@one.test c@two.test
    mail -f '"odd one"@x.test' '"quo\"ted one"@one.test'
    mail -f '' a@one.test
    mail -f sender@x.test -N success,failure -V envid a@one.test
    mail -f sender@x.test hold@one.test
    instance_wait 20 deferred_count 5 || fail "nothing was deferred"
    local id file
    id=$(basename "$(grep -rl hold@one.test "$dir/queue/deferred" |
        head -n 1)")
    postsuper -c "$dir/config" -h "$id" 2>/dev/null
    postsuper -c "$dir/config" -e "$id" 2>/dev/null
    postfix -c "$dir/config" stop >>"$dir/log/start.log" 2>&1
    mail -f drop@x.test a@one.test # stays in maildrop
    # One that cleanup has not finished is not listed.
    file=$(find "$dir/queue/deferred" -type f | head -n 1)
    id=$(copy_as "$file" incoming)
    chmod 600 "$dir/queue/incoming/$id"
    in_incoming=$(copy_as "$file" incoming)
    copy_as "$file" active >"$work/id"
    id=$(copy_as "$file" hold)
    truncate -s 400 "$dir/queue/hold/$id"
}

# A copy of a queue file under a short id, which must fit its inode.
copy_as() {
    local id
    cp -p "$1" "$dir/queue/$2/copy"
    id=$(printf 'B0000%X' "$(stat -c %i "$dir/queue/$2/copy")")
    mv "$dir/queue/$2/copy" "$dir/queue/$2/$id"
    echo "$id"
}

# ---- the tests --------------------------------------------------------------

# Files of one directory come in the order of the directory, in both.
test_same_as_stock() {
    list_stand_alone showq stock
    [ "$(wc -l <"$work/stock.json")" -ge 8 ] || fail "too few messages"
    list_stand_alone "$ours" ours
    diff "$work/stock.json" "$work/ours.json" || fail "the JSON differs"
    diff "$work/stock.text" "$work/ours.text" || fail "the text differs"
}

# Postfix is down: root's postqueue runs showq_service_name by itself.
list_stand_alone() {
    instance_set "$dir" "showq_service_name = $1"
    queue -j >"$work/$2.json" 2>"$work/errors" ||
        fail "postqueue -j: $(cat "$work/errors")"
    queue -p >"$work/$2.text" 2>"$work/errors" ||
        fail "postqueue -p: $(cat "$work/errors")"
    if grep -v "Mail system is down" "$work/errors"; then
        fail "postqueue complains"
    fi
    instance_set "$dir" "showq_service_name = showq"
}

# The line of one message in the JSON listing.
line_of() {
    grep "\"queue_id\": \"$1\"" "$work/$2.json" || fail "$1 is not in $2.json"
}

expect_line() {
    case $(line_of "$1" "$2") in
        *"$3"*) ;;
        *) fail "$1: expected $3, got: $(line_of "$1" "$2")" ;;
    esac
}

fill_queue() {
    fill A0000000001 ready s@x.test a@one.test b@two.test
    fill A0000000002 deferred s@x.test a@one.test b@one.test
    fill A0000000003 held "" a@one.test
    fill A0000000004 synced $'"e\033[31m\xff' 'two words@one.test'
    fill A0000000005 "done" s@x.test a@one.test
    fill A0000000006 done1 s@x.test a@one.test b@one.test
    # It is in incoming/, too: our copy counts.
    fill "$in_incoming" synced ours@x.test a@one.test
    # Short ids are hashed by their first letter.
    mkdir -p "$dir/queue/defer/A"
    cat >"$dir/queue/defer/A/A0000000002" <<'END'

<a@one.test>: first reason
recipient=a@one.test
offset=123
status=4.4.1
action=delayed
reason=connect to one.test: "Connection" refused

recipient=other@one.test
reason=of somebody who is done

END
    chown -R "$instance_mail_owner" "$dir/queue/defer"
}

reason='"delay_reason": "connect to one.test: \"Connection\" refused"'

expect_our_messages() {
    local from=$1
    expect_line A0000000001 "$from" '"queue_name": "active"'
    expect_line A0000000001 "$from" '"sender": "s@x.test"'
    expect_line A0000000001 "$from" \
        '[{"address": "a@one.test"}, {"address": "b@two.test"}]'
    expect_line A0000000002 "$from" '"queue_name": "deferred"'
    expect_line A0000000002 "$from" "[{\"address\": \"a@one.test\", $reason}"
    expect_line A0000000002 "$from" '}, {"address": "b@one.test"}]'
    expect_line A0000000003 "$from" '"queue_name": "hold"'
    expect_line A0000000003 "$from" '"sender": "MAILER-DAEMON"'
    expect_line A0000000004 "$from" '"queue_name": "incoming"'
    expect_line A0000000004 "$from" '[31m?'
    expect_line A0000000004 "$from" '\"two words\"@one.test'
    expect_line A0000000006 "$from" \
        '"recipients": [{"address": "b@one.test"}]'
    expect_line "$in_incoming" "$from" '"sender": "ours@x.test"'
    if grep -q A0000000005 "$work/$from.json"; then
        fail "a message that is done is listed"
    fi
    expect "number of messages in $from" $(("$(wc -l <"$work/ours.json")" + 5)) \
        "$(wc -l <"$work/$from.json")"
    expect "first one" A0000000001 \
        "$(sed -n '1s/.*"queue_id": "\([^"]*\)".*/\1/p' "$work/$from.json")"
}

test_our_queue__stand_alone() {
    instance_daemon_start "$dir" sync
    instance_wait 20 helper_runs ||
        fail "syncq-sync does not run: $(tail -n 3 "$dir/log/sync.log")"
    fill_queue
    list_stand_alone "$ours" queue
    expect_our_messages queue
    grep -q '^A0000000001\*' "$work/queue.text" || fail "no * for active"
    grep -q '^A0000000003!' "$work/queue.text" || fail "no ! for held"
    instance_kill "$dir" sync
    list_stand_alone "$ours" offline
    diff "$work/queue.json" "$work/offline.json" ||
        fail "the listing needs a sync helper"
}

helper_runs() {
    # Its exit code also speaks of the queue manager, which is missing.
    grep -q '^sync helper: *running' <<<"$(instance_syncq "$dir" status)"
}

# Under master(8): several listings, idle end, no complaint in the log.
test_our_queue__as_service() {
    instance_swap_service "$dir" showq "$build/qmgr/syncq-showq"
    # Nothing but the listing shall run; queue managers would deliver.
    sed -i '/^\(qmgr\|pickup\) /d' "$dir/config/master.cf"
    instance_set "$dir" "max_idle = 1s"
    : >"$dir/log/mail.log"
    postfix -c "$dir/config" start >"$dir/log/start.log" 2>&1 ||
        fail "Postfix does not start: $(cat "$dir/log/start.log")"
    for _ in 1 2 3; do
        queue -j >"$work/service.json"
        expect_our_messages service
    done
    queue -p >"$work/service.text"
    grep -q 'Requests\.$' "$work/service.text" || fail "the text is cut off"
    instance_wait 20 no_showq || fail "it does not end when idle"
    queue -j >"$work/service.json"
    expect_our_messages service
    postfix -c "$dir/config" reload >>"$dir/log/start.log" 2>&1
    queue -j >"$work/service.json"
    expect_our_messages service
    postfix -c "$dir/config" stop >>"$dir/log/start.log" 2>&1
    if grep -E 'showq.*(warning|error|fatal|panic)' "$dir/log/mail.log"; then
        fail "showq complains"
    fi
}

no_showq() {
    local pid
    for pid in $(pgrep -g "$(instance_master_pid "$dir")"); do
        if [[ $(readlink "/proc/$pid/exe") == *syncq-showq ]]; then
            return 1
        fi
    done
}

test_no_queue__lists_postfix_only() {
    mv "$dir/syncq/queue" "$dir/syncq/away"
    list_stand_alone "$ours" without
    mv "$dir/syncq/away" "$dir/syncq/queue"
    diff "$work/ours.json" "$work/without.json" ||
        fail "without our queue the listing is not stock's"
}

make_instance
ours=$(instance_command "$build/qmgr/syncq-showq")
fill_postfix
test_same_as_stock
test_our_queue__stand_alone
test_our_queue__as_service
test_no_queue__lists_postfix_only
