#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mail.sh - mail through real Postfix, with and without syncq, on several disks
#
# What is compared: private instances (tests/instance.sh) that differ in
# nothing but syncq.  Each relays to a smtp-sink of its own, which throws the
# mail away and counts it; smtp-source sends.  The directory of an instance,
# with Postfix's queue and syncq's, lies on one disk of the kind in question:
# "real", or "F/S", a modelled disk (tests/disk) on which a flush takes F ms
# and a seek S ms.  Rounds are interleaved, all variants in each, so that what
# else runs on the machine hits all of them.
#
# accept: from the start until smtp-source has its last 250.
# deliver: from the start until the sink has got the last mail.
# Before each run queues are empty and the file system is synced.
# shellcheck disable=SC2317 # functions are called by a trap
set -euo pipefail

top=$(realpath "$(dirname "$0")/..")
build=$(realpath "${SYNCQ_BUILD:-$top}")
# shellcheck source=tests/instance.sh
. "$top/tests/instance.sh"
# shellcheck source=tests/disk/disk.sh
. "$top/tests/disk/disk.sh"

mails=1000
sessions=20
size=4096
rounds=5
disks="real 5/0 4/4"
variants="stock syncq syncq-disk"
place=${TMPDIR:-/var/tmp}
json=/dev/null
priority=-10 # nice value of all that takes part
delivery_timeout=300 # seconds for one run

usage() {
    cat <<'END'
Usage: bench/mail.sh [OPTION]...
Measure how fast mail is accepted and delivered through Postfix, stock and with
syncq, on disks of several speeds.  Needs root, Postfix, and a built tree.

      --mails N          in each run [1000]
      --sessions N       SMTP connections that send them [20]
      --size BYTES       of each mail's body [4096]
      --rounds N         runs of each variant on each disk [5]
      --disks "D..."     real, or F/S: ms of a flush and of a seek
                         [real 5/0 4/4]
      --variants "V..."  stock; syncq: delivery files on tmpfs; syncq-disk:
                         on the disk [stock syncq syncq-disk]
      --dir DIR          a directory on the real disk [TMPDIR or /var/tmp]
      --json FILE        write each run as one line of JSON
      --help             show this text

SYNCQ_BUILD in the environment is the build tree, if not the source tree.
END
}

bench_fail() {
    printf 'mail.sh: %s\n' "$*" >&2
    exit 1
}

parse_options() {
    while [ $# -gt 0 ]; do
        if [ "$1" = --help ]; then
            usage
            exit 0
        fi
        case $1 in
            --mails | --sessions | --size | --rounds)
                [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || bench_fail "$1: a number"
                ;;&
            --mails) mails=$2 ;;
            --sessions) sessions=$2 ;;
            --size) size=$2 ;;
            --rounds) rounds=$2 ;;
            --disks) disks=${2:-} ;;
            --variants) variants=${2:-} ;;
            --dir) place=${2:-} ;;
            --json) json=${2:-} ;;
            *)
                echo "mail.sh: unknown option $1; see --help" >&2
                exit 64
                ;;
        esac
        shift
        shift || bench_fail "an option needs a value"
    done
}

# Of the variants on the disk in work.
declare -A instance=() sink_fd=() sink_count=() disk_of=()

clean_up() {
    local variant
    for variant in "${!instance[@]}"; do
        drop_instance "$variant" || true
    done
    disk_drop_all
    priority=0
    prefer $$
    if [ -n "$groups" ]; then
        rmdir "$groups" || true
    fi
    rm -rf --one-file-system "$work" "$memory"
}

make_place() {
    local disk=$1 variant=$2
    instance[$variant]=$work/$variant
    if [ "$disk" != real ]; then
        disk_of[$variant]=$work/disk-$variant
        mkdir "$work/disk-$variant"
        disk_make "$work/disk-$variant" $((2 << 30))
        disk_mount "$work/disk-$variant" noinit_itable
        chmod 755 "$work/disk-$variant" "$work/disk-$variant/mount"
        instance[$variant]=$work/disk-$variant/mount/$variant
    fi
}

# The sink's own counters tell when a run's last mail has arrived.
start_sink() {
    local variant=$1 port=$2 fd
    mkfifo "$memory/$variant.pipe"
    smtp-sink -u nobody -c "127.0.0.1:$port" 512 2>"$memory/$variant.log" \
        > >("$build/bench/mail-count" "$mails" >"$memory/$variant.pipe") &
    echo $! >"$memory/$variant.pid"
    disown
    exec {fd}<"$memory/$variant.pipe"
    rm "$memory/$variant.pipe"
    sink_fd[$variant]=$fd
    sink_count[$variant]=0
}

mount_delivery_files() {
    local dir=$1
    mkdir "$dir/queue/syncq"
    mount -t tmpfs -o "size=64m,mode=0700,uid=$instance_mail_owner" \
        syncq-bench "$dir/queue/syncq"
}

# Compilers and the like on the same machine should not decide what comes out.
# The kernel weighs sessions first, where autogroups are on.
prefer() {
    local pid
    for pid in "$@"; do
        renice -n "$priority" -p "$pid" >/dev/null 2>&1 || true
        if [ -w "/proc/$pid/autogroup" ]; then
            echo "$priority" >"/proc/$pid/autogroup" || true
        fi
    done
}

prefer_instance() {
    local pid
    prefer "$(cat "$memory/$1.pid")" # the sink
    if [ -n "${disk_of[$1]:-}" ]; then
        prefer "$(cat "${disk_of[$1]}/pid")"
    fi
    prefer "$(instance_master_pid "${instance[$1]}")"
    for pid in "${instance[$1]}"/pid/*; do
        if [ -e "$pid" ]; then
            prefer "$(cat "$pid")"
        fi
    done
}

# A control group tells what an instance's processes, dead ones too, have used
# of the CPUs: unlike times it hardly depends on what else the machine does.
enter_group() {
    [ -n "$groups" ] || return 0
    mkdir "$groups/$1" && echo "$BASHPID" >"$groups/$1/cgroup.procs"
}

cpu_used() {
    if [ -n "$groups" ]; then
        sed -n 's/^usage_usec //p' "$groups/$1/cpu.stat"
    else
        echo 0
    fi
}

make_instance() {
    local disk=$1 variant=$2 dir port
    make_place "$disk" "$variant"
    dir=${instance[$variant]}
    port=$(instance_free_port)
    start_sink "$variant" "$port"
    instance_make "$dir" "$(instance_free_port)"
    instance_set "$dir" "relayhost = [127.0.0.1]:$port"
    if [ "$variant" != stock ]; then
        instance_add_syncq "$dir" "$build" 512M >/dev/null
    fi
    if [ "$variant" = syncq ]; then
        mount_delivery_files "$dir"
    fi
    (enter_group "$variant" && instance_start "$dir")
    prefer_instance "$variant"
    if [ "$disk" != real ]; then
        disk_control "${disk_of[$variant]}" "flush-ms ${disk%/*}"
        disk_control "${disk_of[$variant]}" "seek-ms ${disk#*/}"
    fi
}

drop_instance() {
    local variant=$1 dir=${instance[$1]} pid fd
    if [ -d "$dir/config" ]; then
        instance_stop "$dir" || true
    fi
    if mountpoint -q "$dir/queue/syncq"; then
        umount "$dir/queue/syncq"
    fi
    if pid=$(cat "$memory/$variant.pid" 2>/dev/null); then
        kill "$pid" 2>/dev/null || true
        rm -f "$memory/$variant.pid"
    fi
    if fd=${sink_fd[$variant]:-} && [ -n "$fd" ]; then
        exec {fd}<&-
    fi
    if [ -n "${disk_of[$variant]:-}" ]; then
        disk_drop "${disk_of[$variant]}"
    fi
    rm -rf --one-file-system "$dir"
    rm -rf --one-file-system "$work/disk-$variant"
    if [ -d "$groups/$variant" ]; then
        rmdir "$groups/$variant"
    fi
    unset "instance[$variant]" "sink_fd[$variant]" "disk_of[$variant]"
}

# Wait until the sink has counted so many mails in all.
wait_delivered() {
    local variant=$1 target=$2 line
    while [ "${sink_count[$variant]}" -lt "$target" ]; do
        if ! read -r -t "$delivery_timeout" -u "${sink_fd[$variant]}" line
        then
            bench_fail "$variant: ${sink_count[$variant]} of $target arrived:" \
                "$(tail -n 3 "${instance[$variant]}/log/mail.log")"
        fi
        sink_count[$variant]=$line
    done
}

send() {
    local port
    port=$(instance_port "${instance[$1]}" smtp)
    smtp-source -d -N -s "$sessions" -m "$mails" -l "$size" \
        -f sender@bench.test -t rcpt@bench.test "127.0.0.1:$port" \
        >"$memory/source.log" 2>&1 || return 1
    echo "${EPOCHREALTIME/./}" >"$memory/accepted"
}

counter() {
    if [ -z "${disk_of[$1]:-}" ]; then
        echo null
    else
        disk_counter "${disk_of[$1]}" "$2"
    fi
}

# run VARIANT: the times in us, in $accept and $deliver, and $cpu.
run() {
    local variant=$1 begin end sender before
    instance_wait_empty "${instance[$variant]}" 60 ||
        bench_fail "$variant: the queue does not get empty"
    sync -f "${instance[$variant]}"
    if [ -n "${disk_of[$variant]:-}" ]; then
        disk_control "${disk_of[$variant]}" reset
    fi
    before=$(cpu_used "$variant")
    begin=${EPOCHREALTIME/./}
    send "$variant" &
    sender=$!
    wait_delivered "$variant" $((sink_count[$variant] + mails))
    end=${EPOCHREALTIME/./}
    wait "$sender" || bench_fail "smtp-source: $(cat "$memory/source.log")"
    accept=$(($(cat "$memory/accepted") - begin))
    deliver=$((end - begin))
    cpu=$(($(cpu_used "$variant") - before))
}

report_run() {
    local disk=$1 variant=$2 round=$3 name
    printf '{"disk":"%s","variant":"%s","round":%d,' "$disk" "$variant" "$round"
    printf '"mails":%d,"sessions":%d,"size":%d,' "$mails" "$sessions" "$size"
    for name in flushes writes write_bytes seeks busy_us; do
        printf '"%s":%s,' "$name" "$(counter "$variant" "$name")"
    done
    printf '"cpu_us":%d,"accept_us":%d,"deliver_us":%d}\n' \
        "$cpu" "$accept" "$deliver"
}

# Begin each round with another variant: the first has no warmer caches.
rotate() {
    local by=$1 all
    shift
    all=("$@")
    by=$((by % $#))
    echo "${all[@]:by}" "${all[@]:0:by}"
}

bench_disk() {
    local disk=$1 variant round order
    for variant in $variants; do
        make_instance "$disk" "$variant"
        run "$variant" # does not count: processes start, caches get warm
    done
    for ((round = 1; round <= rounds; round++)); do
        # shellcheck disable=SC2086 # words
        order=$(rotate "$round" $variants)
        for variant in $order; do
            run "$variant"
            report_run "$disk" "$variant" "$round" >>"$memory/runs"
            tail -n 1 "$memory/runs" >>"$json"
        done
    done
    # shellcheck disable=SC2086 # words
    print_disk "$disk" $variants
    for variant in $variants; do
        drop_instance "$variant"
    done
}

# field DISK VARIANT NAME: one value of each round, in their order.
field() {
    sed -n "s|^{\"disk\":\"$1\",\"variant\":\"$2\",.*\"$3\":\([0-9.]*\)[,}].*|\1|p" \
        "$memory/runs"
}

median() {
    sort -n | awk '{ v[NR] = $1 }
        END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# rates DISK VARIANT NAME: mails a second of each round.
rates() {
    field "$1" "$2" "$3" | awk -v n="$mails" '{ print n * 1e6 / $1 }'
}

# How often as fast as stock in the same round: median, least and most.
ratios() {
    if [[ " $variants " != *" stock "* ]]; then
        echo "- - -"
        return
    fi
    paste <(rates "$1" "$2" "$3") <(rates "$1" stock "$3") |
        awk '{ print $1 / $2 }' | sort -n | awk '{ v[NR] = $1 }
        END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
            printf "%.2f %.2f %.2f\n", m, v[1], v[NR] }'
}

per_mail() {
    if [ "$1" = real ] && [ "$3" != cpu_us ]; then
        echo -
    else
        field "$1" "$2" "$3" | median |
            awk -v n="$mails" -v by="$4" '{ printf "%.2f\n", $1 / n / by }'
    fi
}

print_head() {
    printf '%d mails of %d bytes, %d sessions, %d rounds; medians\n' \
        "$mails" "$size" "$sessions" "$rounds"
    printf '%-6s %-11s %9s %18s %9s %18s %7s %8s %6s %6s\n' disk \
        variant accept/s 'x stock' deliver/s 'x stock' 'CPU ms' flushes seeks \
        KiB
}

print_disk() {
    local disk=$1 variant name cells ratio
    shift
    for variant in "$@"; do
        cells=()
        for name in accept_us deliver_us; do
            read -ra ratio <<<"$(ratios "$disk" "$variant" "$name")"
            cells+=("$(rates "$disk" "$variant" "$name" | median)"
                "${ratio[0]} (${ratio[1]}..${ratio[2]})")
        done
        printf '%-6s %-11s %9.0f %18s %9.0f %18s %7s %8s %6s %6s\n' \
            "$disk" "$variant" "${cells[@]}" \
            "$(per_mail "$disk" "$variant" cpu_us 1000)" \
            "$(per_mail "$disk" "$variant" flushes 1)" \
            "$(per_mail "$disk" "$variant" seeks 1)" \
            "$(per_mail "$disk" "$variant" write_bytes 1024)"
    done
}

parse_options "$@"
instance_require_root
command -v smtp-source >/dev/null || bench_fail "smtp-source is missing"
work=$(mktemp -d "$place/syncq-bench.XXXXXX")
memory=$(mktemp -d /dev/shm/syncq-bench.XXXXXX)
groups=$(findmnt -n -f -t cgroup2 -o TARGET || true)
if [ -n "$groups" ]; then
    groups=$(mktemp -d "$groups/syncq-bench.XXXXXX" || true)
fi
chmod 755 "$work"
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
prefer $$
touch "$memory/runs"
: >>"$json"
print_head
for disk in $disks; do
    if [ "$disk" = real ]; then
        bench_disk real
    elif ! [[ $disk =~ ^[0-9.]+/[0-9.]+$ ]]; then
        bench_fail "$disk: neither real nor FLUSH/SEEK"
    elif reason=$(disk_missing "$build"); then
        echo "$disk: skipped: $reason"
    else
        disk_build=$build
        bench_disk "$disk"
    fi
done
echo "for each mail: CPU time of all of an instance's processes, and what the" \
    "disk was asked for"
