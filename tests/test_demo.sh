#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_demo.sh - contrib/demo says yes and no when it should
set -euo pipefail

srcdir=${srcdir:-$(dirname "$0")}
# shellcheck source=tests/instance.sh
. "$srcdir/instance.sh"
instance_require_root
SYNCQ_BUILD=$(realpath "${top_builddir:-..}")
export SYNCQ_BUILD

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-demo-test.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=0

# expect CODE WHAT OPTION...
expect() {
    local expected=$1 what=$2 code=0
    shift 2
    "$srcdir/../contrib/demo" --dir "$work" "$@" >"$work/output" 2>&1 ||
        code=$?
    if [ "$code" -eq "$expected" ]; then
        echo "ok: $what"
    else
        echo "NOT ok: $what: ended with $code instead of $expected"
        cat "$work/output"
        tail -n 20 "$work"/instance/log/*.log 2>/dev/null || true
        failed=1
    fi
    rm -rf "$work/instance"
}

mkdir "$work/good" "$work/altered"
printf 'Received: by a\n\twith b\nSubject: raw\n\n.\n..\n\377\nno end' \
    >"$work/good/1"
printf 'Subject: Postfix adds an empty line here:\nno header\n\ntext\n' \
    >"$work/altered/1"

expect 0 "made-up mail arrives" --count 300 --sessions 30
expect 0 "raw mail arrives" --mail "$work/good"
expect 1 "altered mail is found" --mail "$work/altered"
expect 0 "nothing is lost by kills" --count 500 --kill
expect 64 "a wrong option is refused" --nonsense
exit "$failed"
