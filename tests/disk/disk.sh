# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# disk.sh - modelled disks with ext4 on them; to be sourced
#
# A disk is a directory with fuse/ (the model-disk's files), mount/ (the file
# system), loop (the name of its loop device), pid and model.log in it.
#
#   disk_require BUILD          end as skipped, and say why, where FUSE, loop
#                               devices, root or the program are missing; the
#                               same as a function that only tells: disk_missing
#   disk_make DIR SIZE [OPTION]...   start model-disk with these options, put a
#                               loop device and a new ext4 on it
#   disk_mount DIR [OPTIONS], disk_unmount DIR   at DIR/mount
#   disk_control DIR COMMAND    see disk_control.h
#   disk_counter DIR NAME       one of DIR/fuse/counters
#   disk_drop DIR               unmount, detach, end; DIR itself stays
#   disk_drop_all               the same for each one made here: for a trap
#   disk_check_image IMAGE MOUNT [COMMAND]...   mount an image, which
#                               replays its journal, run a command in it, and
#                               let fsck.ext4 -n have a look; false: not clean

disk_made=()

disk_missing() {
    disk_build=$1
    if [ ! -x "$disk_build/tests/disk/model-disk" ]; then
        echo "no FUSE: built without libfuse3"
    elif [ "$(id -u)" -ne 0 ]; then
        echo "not root"
    elif [ ! -w /dev/fuse ]; then
        echo "no FUSE: /dev/fuse"
    elif [ ! -w /dev/loop-control ] || ! losetup -f >/dev/null 2>&1; then
        echo "no loop device"
    elif ! command -v mkfs.ext4 >/dev/null; then
        echo "no mkfs.ext4"
    else
        return 1
    fi
}

disk_require() {
    local reason
    disk_build=$1 # disk_missing sets it in a subshell only
    if reason=$(disk_missing "$1"); then
        echo "skipped: $reason"
        exit 77
    fi
}

disk_fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    return 1
}

disk_start() {
    local dir=$1 size=$2 line
    shift 2
    mkfifo "$dir/ready"
    setsid "$disk_build/tests/disk/model-disk" --size "$size" "$@" \
        "$dir/fuse" >"$dir/ready" 2>"$dir/model.log" &
    echo $! >"$dir/pid"
    disown # or the shell would tell of its end
    if ! read -r -t 10 line <"$dir/ready" || [ "$line" != ready ]; then
        disk_fail "model-disk: $(cat "$dir/model.log")"
        return 1
    fi
    rm "$dir/ready"
}

disk_make() {
    local dir=$1
    mkdir -p "$dir"/{fuse,mount}
    disk_made+=("$dir")
    disk_start "$@" || return 1
    if ! losetup --find --show "$dir/fuse/disk" >"$dir/loop"; then
        rm -f "$dir/loop"
        return 1
    fi
    mkfs.ext4 -q "$(cat "$dir/loop")"
}

disk_mount() {
    mount -t ext4 ${2:+-o "$2"} "$(cat "$1/loop")" "$1/mount"
}

disk_unmount() {
    umount "$1/mount"
}

disk_control() {
    printf '%s\n' "$2" >"$1/fuse/control"
}

disk_counter() {
    sed -n "s/^$2 //p" "$1/fuse/counters"
}

# Try until a command succeeds, at most 10 s.
disk_wait() {
    local deadline=$((SECONDS + 10))
    until "$@" 2>/dev/null; do
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.02
    done
}

disk_is_gone() {
    ! kill -0 "$1"
}

# Nothing tells when the last one who uses it has left.
disk_leave() {
    if mountpoint -q "$1" && ! disk_wait umount "$1"; then
        umount -l "$1" || true
    fi
}

# Whatever there is of it; a file system somebody still uses goes when he ends.
disk_drop() {
    local dir=$1 pid
    if [ -d "$dir/fuse" ] && mountpoint -q "$dir/fuse"; then
        # An unmount that writes should not take the modelled time.
        disk_control "$dir" "flush-ms 0" 2>/dev/null || true
        disk_control "$dir" "seek-ms 0" 2>/dev/null || true
    fi
    disk_leave "$dir/mount"
    if [ -e "$dir/loop" ]; then
        losetup -d "$(cat "$dir/loop")" || true
    fi
    disk_leave "$dir/fuse"
    # Another mount namespace may keep a copy of the mount alive.
    if pid=$(cat "$dir/pid" 2>/dev/null) && kill "$pid" 2>/dev/null &&
        ! disk_wait disk_is_gone "$pid"; then
        kill -9 "$pid" 2>/dev/null || true
        disk_fail "model-disk (pid $pid) did not end" || true
    fi
    rm -f "$dir/pid" "$dir/loop" "$dir/ready"
}

disk_drop_all() {
    local dir
    for dir in "${disk_made[@]}"; do
        disk_drop "$dir"
    done
}

disk_check_image() {
    local image=$1 mount=$2
    shift 2
    mount -t ext4 -o loop "$image" "$mount" || return 1
    if [ $# -gt 0 ] && ! (cd "$mount" && "$@"); then
        umount "$mount"
        return 1
    fi
    umount "$mount" && fsck.ext4 -f -n "$image" >"$image.fsck" 2>&1
}
