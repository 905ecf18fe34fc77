# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# admin.sh - run the administrator's command on a queue; to be sourced
#
# Makes a directory of its own with a configuration, and takes all away at the
# end.  Nothing but syncq-sync is started, and only when start_helper says so.
#
#   expect CODE TEXT ARGUMENT...   run syncq: that exit code and error line
#   output_has TEXT, output_lines N   what it printed
#   new_queue [OPTION]...          an empty queue in place of the last one
#   start_helper, stop_helper
#   mail ID STATUS SENDER RECIPIENT...   one message into the queue
#   start_manager [ANSWER], stop_manager   a stand-in for the queue manager
#   poke FILE OFFSET BYTES

export LC_ALL=C TZ=UTC

build=$(realpath "${top_builddir:-..}")
syncq=$build/admin/syncq
work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-admin.XXXXXX")
chmod 755 "$work"
helper=

# Bounded: a helper that does not end is a failure, not a hang.
stop_helper() {
    local deadline=$((SECONDS + 20))
    [ -n "$helper" ] || return 0
    kill "$helper" 2>/dev/null || true
    while kill -0 "$helper" 2>/dev/null; do
        if ((SECONDS >= deadline)); then
            kill -9 "$helper"
            echo "syncq-sync does not end" >&2
        fi
        sleep 0.02
    done
    wait "$helper" || true
    helper=
}

clean_up() {
    local code=$?
    [ "$code" -eq 0 ] || echo "ended with exit code $code" >&2
    stop_helper
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Started by root, all happens as another user, as with Postfix.
owner=$(id -un)
as_owner=()
if [ "$(id -u)" -eq 0 ]; then
    owner=nobody
    as_owner=(setpriv --reuid="$owner" --regid="$(id -g "$owner")"
        --clear-groups)
fi
conf=$work/syncq.conf

write_conf() {
    cat >"$conf" <<END
queue_directory = $work/queue
run_directory = $work/run
mail_owner = $owner
confirm_timeout = 20s
END
    case $(stat -f -c %T "$work") in
        ext2/ext3 | xfs) ;;
        *) echo "allow_any_filesystem = yes" >>"$conf" ;;
    esac
}

fail() {
    printf 'FAIL: %s\n' "$*" >&2
    exit 1
}

# expect CODE TEXT ARGUMENT...: that exit code, and for an error exactly one
# line that holds TEXT; "" for no line at all.
expect() {
    local code=$1 text=$2 got=0
    shift 2
    "$syncq" -c "$conf" "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" -eq "$code" ] ||
        fail "syncq $*: exit code $got, not $code: $(cat "$work/err")"
    if [ -z "$text" ]; then
        [ ! -s "$work/err" ] || fail "syncq $*: $(cat "$work/err")"
        return
    fi
    [ "$(wc -l <"$work/err")" -eq 1 ] ||
        fail "syncq $*: not one line: $(cat "$work/err")"
    grep -qF -- "$text" "$work/err" ||
        fail "syncq $*: no '$text' in: $(cat "$work/err")"
    grep -q '^syncq' "$work/err" || fail "syncq $*: $(cat "$work/err")"
}

# What the last command printed.
output_has() {
    grep -qF -- "$1" "$work/out" || fail "no '$1' in: $(cat "$work/out")"
}

output_lines() {
    [ "$(wc -l <"$work/out")" -eq "$1" ] ||
        fail "not $1 lines: $(cat "$work/out")"
}

fill() {
    "${as_owner[@]}" "$build/tests/test_admin_fill" "$work/queue" \
        "$work/run" "$@"
}

mail() {
    printf 'Received: by test\nSubject: %s\n\nline\n.dot\nend' "$1" |
        fill "$@"
}

start_helper() {
    local deadline=$((SECONDS + 20))
    "$build/sync-helper/syncq-sync" -e -c "$conf" >>"$work/sync.log" 2>&1 &
    helper=$!
    until grep -q '^sync helper: *running' \
        <<<"$("$syncq" -c "$conf" status 2>&1)"; do
        ((SECONDS < deadline)) || fail "$(tail -n 3 "$work/sync.log")"
        sleep 0.05
    done
}

new_queue() {
    stop_helper
    rm -rf "$work/queue" "$work/run"
    expect 0 "" create "$@"
}

# Write bytes (with escapes, as for printf %b) at an offset of a file.
poke() {
    printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# A stand-in for the queue manager: holds the lock and gives one answer.
start_manager() {
    mkfifo "$work/manager.in" "$work/manager.out"
    "${as_owner[@]}" "$build/tests/test_admin_manager" "$work/queue" \
        "$work/run" "$@" <"$work/manager.in" >"$work/manager.out" &
    manager=$!
    exec 8>"$work/manager.in" 9<"$work/manager.out"
    read -r -t 20 line <&9 || fail "no queue manager"
    [ "$line" = ready ] || fail "queue manager: $line"
}

stop_manager() {
    exec 8>&-
    wait "$manager" || fail "queue manager: $?"
    exec 9<&-
    rm "$work/manager.in" "$work/manager.out"
}

write_conf
