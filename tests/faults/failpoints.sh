#!/bin/bash
# SPDX-License-Identifier: MIT
#
# failpoints.sh PROGRAM... - build fault tests that end processes at named
# steps, in a build of their own with --enable-failpoints, and link them here
set -euo pipefail

top=$(realpath "$(dirname "$0")/../..")
if [ -e "$top/config.status" ]; then
    echo "failpoints.sh: the source tree is configured: build elsewhere" >&2
    exit 69
fi
mkdir -p failpoints.tmp

build() {
    cd failpoints.tmp &&
        { [ -e config.status ] || "$top/configure" -q --enable-failpoints; } &&
        make -s -j "$(nproc)" &&
        make -s -C tests/faults -j "$(nproc)" "$@"
}

if ! (build "$@") >failpoints.log 2>&1; then
    tail -n 20 failpoints.log >&2
    exit 1
fi
for program in "$@"; do
    ln -sf "failpoints.tmp/tests/faults/$program" "$program"
done
