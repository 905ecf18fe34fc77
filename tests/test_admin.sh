#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_admin.sh - the administrator's command where nothing runs
#
# Each thing that can be wrong with a command line, a place or a queue is made
# wrong and must give one clear line and its exit code.
set -euo pipefail
srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/admin.sh
. "$srcdir/admin.sh"

# ---- the command line ------------------------------------------------------

test_command_line() {
    local verb
    expect 64 "which verb?"
    expect 64 "unknown verb frobnicate" frobnicate
    expect 64 "unknown option --frobnicate" --frobnicate
    for verb in create status list cat check release; do
        expect 0 "" "$verb" --help
        output_has "Usage: syncq"
        output_has "$verb"
        expect 64 "unknown option --frobnicate" "$verb" --frobnicate
        expect 64 "unknown option -x" "$verb" -x
    done
    expect 0 "" --help
    for verb in create status list cat check release; do
        output_has "  $verb"
    done
    expect 0 "" --version
    output_has "syncq "
    expect 64 "unexpected argument more" status more
    expect 64 "unexpected argument more" list more
    expect 64 "unexpected argument more" check more
    expect 64 "unexpected argument more" create more
    expect 64 "a value is missing after --domain" list --domain
    expect 64 "unknown status odd" list --status odd
    expect 64 "must not be empty" list --domain ""
    expect 64 "expected one ID" cat
    expect 64 "expected one ID" cat a b
    expect 64 "either --all or IDs" release
    expect 64 "either --all or IDs" release --all x
    expect 78 "unknown parameter odd" -o odd=1 status
    expect 66 "No such file" -c "$work/none.conf" status
    if "$syncq" -c "$conf" --help >/dev/full 2>"$work/err"; then
        fail "a full disk goes unnoticed"
    fi
}

test_manual__has_all_parameters_and_verbs() {
    local word
    sed -n 's/^    {"\([a-z_]*\)", KIND_.*/\1/p' \
        "$srcdir/../program/config.c" >"$work/words"
    [ -s "$work/words" ] || fail "no parameters found"
    while read -r word; do
        grep -q "^\.It Cm $word\b" "$srcdir/../docs/syncq.conf.5" ||
            fail "syncq.conf.5 lacks $word"
    done <"$work/words"
    for word in create status list cat check release; do
        grep -q "^\.It Cm $word\b" "$srcdir/../docs/syncq.8" ||
            fail "syncq.8 lacks $word"
    done
}

# ---- create ----------------------------------------------------------------

test_create() {
    expect 64 "expected bytes" create --size much
    expect 64 "sizes do not fit" create --size 1M
    expect 64 "sizes do not fit" create --size 64M --segment-size 64M
    expect 64 "sizes do not fit" create --size 64M --segment-size 1M
    expect 64 "expected a number" create --entries 5
    expect 0 "" create --size 32M --entries 2000
    output_lines 0 # on a pipe there is nothing to see
    [ "$(stat -c %a "$work/queue")" = 700 ] || fail "mode of the queue"
    [ "$(stat -c %a "$work/run")" = 700 ] || fail "mode of the run directory"
    [ "$(stat -c %U "$work/queue/queue.data")" = "$owner" ] || fail "owner"
    [ "$(stat -c %s "$work/queue/queue.data")" -ge 33554432 ] || fail "size"
    expect 73 "exists already" create --size 32M
    expect 69 "" status --json
    output_has '"entries":2000,'
    expect 0 "" list
    output_lines 0
    expect 0 "" check
    output_has "no damage"
}

test_create__bad_places() {
    local shm=/dev/shm
    expect 73 "cannot make directory" -o "queue_directory=$work/no/where" create
    expect 73 "cannot make directory" -o "run_directory=$work/no/where" \
        -o "queue_directory=$work/other" create
    rm -rf "$work/other"
    expect 67 "there is no user nobody-knows" -o mail_owner=nobody-knows \
        -o "queue_directory=$work/other" create
    [ ! -e "$work/other" ] || fail "a directory of nobody was made"
    expect 67 "there is no user nobody-knows" -o mail_owner=nobody-knows list
    if [ "$(stat -f -c %T $shm)" = tmpfs ]; then
        shm=$(mktemp -d $shm/syncq-admin.XXXXXX)
        chmod 755 "$shm"
        expect 73 "file system was never tested" \
            -o allow_any_filesystem=no -o "queue_directory=$shm/q" create \
            --size 32M
        rm -rf "$shm"
    fi
    mkdir -m 755 "$work/open"
    chown "$owner" "$work/open"
    expect 77 "open to other users" -o "queue_directory=$work/open" create
    # Not writable, and then not even enterable.
    chmod 500 "$work/open"
    expect 77 "Permission denied" -o "queue_directory=$work/open" create
    if [ "$(id -u)" -eq 0 ]; then
        chown root "$work/open"
        chmod 700 "$work/open"
        expect 77 "must belong to mail_owner" \
            -o "queue_directory=$work/open" create
    fi
    rm -rf "$work/open"
    # More than the disk holds; nothing may be left behind.
    mkdir "$work/full"
    expect 73 "No space left" -o "queue_directory=$work/full/q" create \
        --size 4096G --segment-size 4G
    rm -rf "$work/full"
}

# ---- a queue that cannot be opened -----------------------------------------

every_verb_fails() {
    local code=$1 text=$2
    expect "$code" "$text" status
    expect "$code" "$text" list
    expect "$code" "$text" cat x
    expect "$code" "$text" check
    expect "$code" "$text" release --all
}

test_bad_queue() {
    local queue=$work/queue
    rm -rf "$queue"
    every_verb_fails 66 "there is no queue in this directory"
    new_queue --size 32M
    expect 69 "the sync helper is not running; start syncq-sync" release --all

    cp -p "$queue/queue.key" "$work/key"
    poke "$queue/queue.key" 3 '\0001\0002\0003'
    every_verb_fails 65 "the key does not fit"
    rm "$queue/queue.key"
    every_verb_fails 65 "the key file is missing"
    cp -p "$work/key" "$queue/queue.key"
    chmod 644 "$queue/queue.key"
    every_verb_fails 77 "open to other users"
    chmod 600 "$queue/queue.key"
    expect 0 "" list

    cp -p "$queue/queue.data" "$work/data"
    "$build/tests/test_admin_version" "$queue/queue.data"
    every_verb_fails 65 "another version"
    poke "$queue/queue.data" 0 'Y'
    poke "$queue/queue.data" 4096 'Y'
    every_verb_fails 65 "not a file of syncq"
    cp -p "$work/data" "$queue/queue.data"
    poke "$queue/queue.data" 40 'Y'
    poke "$queue/queue.data" 4136 'Y'
    every_verb_fails 65 "both superblocks"
    cp -p "$work/data" "$queue/queue.data"
    truncate -s 20M "$queue/queue.data"
    every_verb_fails 65 "shorter than it was made"
    cp -p "$work/data" "$queue/queue.data"
    expect 0 "" list
    rm "$work/data"

    mv "$queue/queue.index" "$work/index"
    expect 65 "the index file is damaged" list
    expect 65 "" check
    output_has "damaged: the index"
    mv "$work/index" "$queue/queue.index"

    chmod 750 "$queue"
    every_verb_fails 77 "open to other users"
    chmod 700 "$queue"
    if [ "$(id -u)" -eq 0 ]; then
        chown root "$queue/queue.data"
        every_verb_fails 77 "must belong to mail_owner"
        chown "$owner" "$queue/queue.data"
        chown -R root "$queue"
        every_verb_fails 77 "must belong to mail_owner"
        chown -R "$owner" "$queue"
        # Neither root nor the mail owner.
        local got=0
        setpriv --reuid=daemon --clear-groups "$syncq" -c "$conf" list \
            2>"$work/err" || got=$?
        [ "$got" -eq 77 ] || fail "another user: exit code $got"
        grep -q "by root or by user" "$work/err" || fail "$(cat "$work/err")"
    fi
    expect 0 "" list
}

test_command_line
test_manual__has_all_parameters_and_verbs
test_create
test_create__bad_places
test_bad_queue
