# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# scenario.sh - a test script around one private instance; to be sourced
#
#   scenario_begin NAME       $work, a directory of its own, and $dir in it for
#                             the instance; both are gone at the end
#   fail TEXT                 show the ends of all logs, and end
#   wait_for TEXT SECONDS COMMAND...   fail if it does not come true
#   logged PATTERN [LOG]      mail.log, or another one of the instance
#   run_tests ALLOWED TEST...   one after the other; then no line may say that a
#                             program gave up, but those with ALLOWED in them
# shellcheck disable=SC2317 # functions are called by others or by traps

# shellcheck source=tests/instance.sh
. "${srcdir:-$(dirname "$0")}/instance.sh"

scenario_end() {
    instance_stop "$dir" || true
    rm -rf "$work"
}

scenario_begin() {
    instance_require_root
    work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-$1.XXXXXX")
    chmod 755 "$work"
    dir=$work/instance
    trap scenario_end EXIT
    trap 'exit 1' HUP INT TERM
}

fail() {
    echo "FAILED: $*"
    tail -n 30 -- "$dir"/log/*.log
    exit 1
}

wait_for() {
    local what=$1 seconds=$2
    shift 2
    instance_wait "$seconds" "$@" || fail "$what"
}

logged() {
    grep -q -- "$1" "$dir/log/${2:-mail}.log"
}

run_tests() {
    local allowed=$1 test
    shift
    for test in "$@"; do
        echo "$test"
        "$test"
    done
    if grep -E 'panic:|fatal:' "$dir/log/mail.log" | grep -v -- "$allowed"
    then
        fail "a program has given up"
    fi
}
