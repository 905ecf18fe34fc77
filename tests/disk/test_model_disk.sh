#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_model_disk.sh - the modelled disk keeps, logs and fails as it is told
#
# Other tests believe what it says.
set -euo pipefail

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-../..}")
# shellcheck source=tests/disk/disk.sh
. "$srcdir/disk.sh"
disk_require "$build"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-disk.XXXXXX")
disk=$work/disk
log=$work/log
size=$((64 << 20))
quiet=noinit_itable,commit=300 # no writes but those a test asks for
clean_up() {
    disk_drop_all
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $*"
    exit 1
}

# expect WHAT IS OUGHT-TO-BE
expect() {
    [ "$2" = "$3" ] || fail "$1: $2, not $3"
}

tool() {
    "$build/tests/disk/$1" "${@:2}"
}

# Number of the entry of a mark.
entry_of() {
    tool write-log list "$log" | sed -n "s/^\([0-9]*\) .* mark .* ok $1\$/\1/p"
}

test_data_comes_back() {
    head -c 3000000 /dev/urandom >"$work/data"
    cp "$work/data" "$disk/mount/data"
    disk_unmount "$disk"
    disk_mount "$disk" "$quiet"
    cmp "$work/data" "$disk/mount/data" || fail "other data came back"
    rm "$disk/mount/data"
}

# What was written between two marks, and in which order.
test_flush_is_logged() {
    local file=$disk/mount/page kinds
    head -c 4096 /dev/zero >"$file"
    sync "$file"
    disk_control "$disk" "mark before"
    expect fsync "$(tool sync-page fsync "$file" F)" ok
    disk_control "$disk" "mark between"
    expect msync "$(tool sync-page msync "$file" M)" ok
    disk_control "$disk" "mark after"
    kinds=$(tool write-log list "$log" | awk '/mark .* before$/ { on = 1 }
        on { print $3 }' | uniq | paste -s -d ' ')
    [[ $kinds =~ ^mark\ (write\ flush\ )+mark\ (write\ flush\ )+mark ]] ||
        fail "logged: $kinds"
}

test_counters_count() {
    local before
    before=$(disk_counter "$disk" flushes)
    tool sync-page fsync "$disk/mount/page" x >/dev/null
    [ "$(disk_counter "$disk" flushes)" -gt "$before" ] || fail "no flush"
    disk_control "$disk" reset
    expect "writes after reset" "$(disk_counter "$disk" writes)" 0
    if disk_control "$disk" "nonsense" 2>/dev/null; then
        fail "took a wrong command"
    fi
}

# Neither times of a disk nor of this machine are looked at, only the charge.
test_time_is_charged() {
    local flushes seeks
    disk_control "$disk" "flush-ms 3"
    disk_control "$disk" "seek-ms 0.5"
    disk_control "$disk" reset
    tool sync-page fsync "$disk/mount/page" x >/dev/null
    flushes=$(disk_counter "$disk" flushes)
    seeks=$(disk_counter "$disk" seeks)
    expect "microseconds" "$(disk_counter "$disk" busy_us)" \
        $((flushes * 3000 + seeks * 500))
    [ $((flushes * seeks)) -gt 0 ] || fail "no time charged"
    disk_control "$disk" "flush-ms 0"
    disk_control "$disk" "seek-ms 0"
}

# Data in place: ext4 itself goes on after an error in that.
test_errors_arrive() {
    local operation how file=$disk/mount/page
    for operation in write flush; do
        for how in fdatasync msync; do
            # Nothing else may be left to be written; it ends with the error
            # of the round before.
            sync -f "$file" 2>/dev/null || true
            disk_control "$disk" reset
            disk_control "$disk" "fail $operation 1 EIO"
            expect "$how, failed $operation" \
                "$(tool sync-page $how "$file" x)" EIO
            expect "errors" "$(disk_counter "$disk" errors)" 1
            expect "$how afterwards" "$(tool sync-page $how "$file" x)" ok
        done
    done
    disk_control "$disk" "fail write 1 ENOSPC"
    [ "$(tool sync-page msync "$file" x)" != ok ] || fail "no ENOSPC"
}

test_error_is_the_nth() {
    local results='' try file=$disk/mount/page
    disk_control "$disk" "fail flush 3 EIO"
    for try in 1 2 3 4; do
        results+=" $(tool sync-page msync "$file" "$try")"
    done
    expect "third flush" "$results" " ok ok EIO ok"
    disk_control "$disk" "fail flush 2 EIO always"
    results=
    for try in 1 2 3; do
        results+=" $(tool sync-page msync "$file" "$try")"
    done
    expect "second and later" "$results" " ok EIO EIO"
    disk_control "$disk" "fail flush 0"
    expect "disarmed" "$(tool sync-page msync "$file" x)" ok
}

# An error in the journal is the end of this mount.
test_error_in_the_journal() {
    touch "$disk/mount/new"
    disk_control "$disk" "fail write 1 EIO"
    if sync "$disk/mount" 2>/dev/null; then
        fail "no error in the journal"
    fi
    if touch "$disk/mount/newer" 2>/dev/null; then
        fail "goes on after an error in the journal"
    fi
}

# Run in the mounted image: all files up to this number are there.
files_are_there() {
    local i
    for ((i = 1; i <= $1; i++)); do
        cmp "$work/files/$i" "$i" || return 1
    done
}

check_cut() {
    local cut=$1 choice=$2 confirmed=$3
    tool write-log image "$log" "$work/image" --cut "$cut" \
        --choice "$choice" --seed "$cut" >"$work/report"
    disk_check_image "$work/image" "$work/mount" files_are_there "$confirmed" ||
        fail "cut at $cut, $choice: $(cat "$work/report")" \
            "$(cat "$work/image.fsck" 2>/dev/null)"
}

# The disk is as new: the log of the last one shows what ext4 was told of.
test_log_rebuilds_the_disk() {
    local i at next cut
    disk_drop "$disk"
    disk_make "$disk" "$size" --log "$log"
    disk_mount "$disk" "$quiet"
    mkdir "$work/files" "$work/mount"
    for i in 1 2 3 4 5 6; do
        head -c $((i * 5000)) /dev/urandom >"$work/files/$i"
        cp "$work/files/$i" "$disk/mount/$i"
        sync "$disk/mount/$i" "$disk/mount"
        disk_control "$disk" "mark file $i"
    done
    for i in 1 3 5; do
        at=$(entry_of "file $i")
        next=$(entry_of "file $((i + 1))")
        check_cut "$at" none "$i"
        for cut in $((at + 1)) $(((at + next) / 2)) $((next - 1)); do
            check_cut "$cut" random "$i"
        done
    done
    check_cut "$(entry_of "file 6")" all 6
}

# All of it, as it is now: the same bytes as the disk's own.
test_log_is_complete() {
    disk_unmount "$disk"
    tool write-log image "$log" "$work/image" --choice all >/dev/null
    cmp "$work/image" "$disk/fuse/disk" || fail "not all was logged"
}

disk_make "$disk" "$size" --log "$log"
disk_mount "$disk" "$quiet"
for test in test_data_comes_back test_flush_is_logged test_counters_count \
    test_time_is_charged test_errors_arrive test_error_is_the_nth \
    test_error_in_the_journal \
    test_log_rebuilds_the_disk test_log_is_complete; do
    echo "$test"
    "$test"
done
