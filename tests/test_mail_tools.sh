#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_mail_tools.sh - mail-load and mail-sink: nothing passes unnoticed
#
# Other tests believe what these two programs say.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
# shellcheck source=tests/instance.sh
. "$srcdir/instance.sh"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-tools.XXXXXX")
mkdir "$work"/{log,pid}
clean_up() {
    instance_kill "$work" sink || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
failed=0

# expect CODE WHAT COMMAND...
expect() {
    local expected=$1 what=$2 code=0
    shift 2
    "$@" >"$work/output" 2>&1 || code=$?
    if [ "$code" -eq "$expected" ]; then
        echo "ok: $what"
    else
        echo "NOT ok: $what: ended with $code instead of $expected"
        cat "$work/output"
        failed=1
    fi
}

start_sink() {
    instance_kill "$work" sink
    rm -rf "$work/sink"
    instance_sink_start "$work" "$build" sink "$@"
}

load() {
    "$build/tests/mail-load" --port "$(instance_port "$work" sink)" \
        --log "$work/sent" "$@"
}

compare() {
    "$build/tests/mail-load" --compare "$work/sent" "$@" "$work/sink"
}

# expect_caught WHAT COMMAND...: with the sink's mail changed by the command.
expect_caught() {
    local what=$1
    shift
    cp -a "$work/sink" "$work/kept"
    (cd "$work/sink" && "$@")
    expect 1 "$what is found" compare
    rm -rf "$work/sink"
    mv "$work/kept" "$work/sink"
}

lose() {
    rm 7.eml
}

cut() {
    truncate -s -1 7.eml
}

alter() {
    printf 'x' | dd of=7.eml bs=1 seek=150 conv=notrunc status=none
}

forge() {
    cp 7.eml 9999.eml
    echo 'RCPT TO:<stranger@d1.test>' >9999.env
}

double() {
    cp 7.eml 9999.eml
    cp 7.env 9999.env
}

swap() {
    mv 7.eml x
    mv 8.eml 7.eml
    mv x 8.eml
}

start_sink
expect 0 "all is accepted" \
    load --count 300 --sessions 10 --per-connection 7
expect 0 "all has arrived" compare
expect_caught "a lost mail" lose
expect_caught "a cut mail" cut
expect_caught "an altered byte" alter
expect_caught "a mail that was never sent" forge
expect_caught "a doubled mail" double
expect_caught "a mail for somebody else" swap
double_allowed() {
    (cd "$work/sink" && double)
    compare --allow-duplicates
}
expect 0 "a doubled mail may be allowed" double_allowed

mkdir "$work/raw"
printf 'Received: by a\n\tb\nX: y\n\n.\n..\n\0\377\n.no end' >"$work/raw/1"
printf 'text without a header\r\nand CR LF\r\n' >"$work/raw/2"
: >"$work/raw/3"
start_sink
expect 0 "raw files are accepted" load --mail "$work/raw" --sessions 1
expect 0 "raw files have arrived" compare
expect 0 "dots, bytes and line ends are right" \
    cmp "$work/sink/1.eml" <(printf \
        'Received: by a\r\n\tb\r\nX: y\r\n\r\n.\r\n..\r\n\0\377\r\n.no end\r\n')

start_sink --reject-after 50 --fail 'load3@*'
expect 1 "a refusal is no success" load --count 100 --sessions 5
expect 0 "only what was accepted counts" compare
[ "$(grep -c ' 250$' "$work/sent")" -eq 50 ] || failed=1
[ "$(grep -c ' 550$' "$work/sent")" -eq 1 ] || failed=1

# The server goes and comes back in the middle.
start_sink
load --count 3000 --sessions 5 --retry >"$work/load.output" 2>&1 &
loader=$!
instance_wait 20 test -e "$work/sink/200.eml"
instance_kill "$work" sink
instance_sink_start "$work" "$build" sink
expect 0 "a lost connection is made again" wait "$loader"
expect 0 "nothing was lost by that" compare --allow-duplicates
exit "$failed"
