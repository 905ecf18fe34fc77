#!/bin/bash
# SPDX-License-Identifier: MIT
#
# seeded.sh - the test of the tests: each patch in seeded/ leaves one safety
# step out, and the program named in it has to notice
#
# A patch starts with two lines of text:
#   # what is left out
#   # caught by: PROGRAM [OPTION]...
# and is applied with patch -p1 to a copy of the source tree, which is built
# once and then again for each patch, one at a time.
set -euo pipefail

here=$(realpath "$(dirname "$0")")
top=$(realpath "$here/../..")
work=$PWD/seeded.tmp
limit_s=180 # a program that is stuck has noticed, too
seed=1

usage() {
    echo 'Usage: seeded.sh [--seed N] [PATCH]...'
    echo 'Try each patch of seeded/, or those given.  Ends with 0 only if'
    echo 'every one is caught.'
}

case ${1:-} in
    --seed)
        seed=${2:?--seed needs a number}
        shift 2
        ;;
    --help)
        usage
        exit 0
        ;;
esac
patches=("$@")
if [ ${#patches[@]} -eq 0 ]; then
    patches=("$here"/seeded/*.patch)
fi

# One word of a patch's head.
head_of() {
    sed -n "s/^# $2//p" "$1" | head -n 1
}

prepare() {
    rm -rf "$work"
    mkdir -p "$work/source" "$work/build"
    tar -C "$top" -c --exclude='./.git' --exclude='./build-check-*' \
        --exclude="./${work#"$top"/}" --exclude='*.o' --exclude='*.lo' . |
        tar -C "$work/source" -x
    # A tree that was configured in place would be built there.
    rm -f "$work/source/config.status"
    (cd "$work/build" && ../source/configure -q --enable-failpoints \
        CFLAGS='-O1 -g')
    build
}

build() {
    make -s -C "$work/build" -j "$(nproc)" &&
        make -s -C "$work/build/tests/faults" -j "$(nproc)" programs
} >"$work/build.log" 2>&1

# A program that notices ends with 1, by a signal, or not in time.
run_caught() {
    local code=0
    read -r -a command <<<"$1"
    (cd "$work/build/tests/faults" &&
        timeout -k 5 "$limit_s" "./${command[0]}" --seed "$seed" \
            "${command[@]:1}") >"$work/run.log" 2>&1 || code=$?
    [ $code -ne 0 ] && [ $code -ne 64 ] && [ $code -ne 77 ] &&
        [ $code -ne 126 ] && [ $code -ne 127 ]
}

# try PATCH: prints what became of it.
try() {
    local patch=$1 what by
    what=$(sed -n '1s/^# //p' "$patch")
    by=$(head_of "$patch" 'caught by: ')
    if ! patch -s -f -p1 -d "$work/source" <"$patch" >"$work/patch.log" 2>&1; then
        printf 'NOT APPLIED %s: %s\n' "${patch##*/}" "$(head -n 1 "$work/patch.log")"
        rm -rf "$work/source"
        prepare
        return 1
    fi
    if ! build; then
        printf 'NOT BUILT %s: %s\n' "${patch##*/}" \
            "$(grep -m 1 error "$work/build.log" || true)"
        patch -s -f -R -p1 -d "$work/source" <"$patch"
        return 1
    fi
    local result=0
    run_caught "$by" || result=1
    patch -s -f -R -p1 -d "$work/source" <"$patch"
    if [ $result -eq 0 ]; then
        printf 'caught by %s: %s\n' "${by%% *}" "$what"
    else
        printf 'NOT CAUGHT by %s: %s\n' "$by" "$what"
    fi
    return $result
}

prepare || {
    echo "seeded.sh: cannot build: see $work/build.log" >&2
    exit 1
}
caught=0
for patch in "${patches[@]}"; do
    if try "$patch"; then
        caught=$((caught + 1))
    fi
done
rm -rf "$work"
printf 'seeded faults caught %d of %d\n' "$caught" "${#patches[@]}"
[ "$caught" -eq "${#patches[@]}" ]
