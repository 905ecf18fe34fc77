#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run.sh - every fault test at full size, then the builds with a step left out
set -euo pipefail

here=$(realpath "$(dirname "$0")")

usage() {
    cat <<'END'
Usage: run.sh [--seed N] [--no-seeded] [PROGRAM]...
Run the fault tests (all of them, or those named) at full size from one seed,
then build syncq once for each patch in seeded/, which leaves one safety step
out, and see that the test named in it notices.  To be started in the build
folder of tests/faults; `make faults` does so.

      --seed N      repeat a run [from the clock]
      --no-seeded   without the builds with a step left out

Each finding is printed with the command that runs its case again.  The last
line adds everything up; ends with 0 only if nothing was found and every patch
was noticed.
END
}

# Program, how much it tries, and after how many seconds it counts as stuck.
programs=(
    'images 100000 2400'
    'block-log 2000 1800'
    'kill 2000 1800'
    'damage 100000 1800'
    'errors 100 900'
    'forgery 10000 900'
    'wrap 10000 1800'
    'clock 500 900'
    'limits 0 300'
)

seed=$(($(date +%s) % 1000000))
seeded=yes
while [ $# -gt 0 ]; do
    case $1 in
        --seed)
            seed=${2:?--seed needs a number}
            shift
            ;;
        --no-seeded) seeded='' ;;
        --help)
            usage
            exit 0
            ;;
        -*)
            echo "run.sh: unknown option $1; see --help" >&2
            exit 64
            ;;
        *) break ;;
    esac
    shift
done

declare -A sums
kinds=(states kills errors damages forgeries lost altered forged resurrected
    stuck)
for kind in "${kinds[@]}"; do
    sums[$kind]=0
done

# Add up the summary line of one program.
add_up() {
    local word name
    for word in $1; do
        name=${word%%=*}
        if [ -n "${sums[$name]+known}" ]; then
            sums[$name]=$((sums[$name] + ${word#*=}))
        fi
    done
}

# run_program NAME COUNT SECONDS: a program that does not end is stuck.
run_program() {
    local name=$1 count=$2 limit=$3 code=0 start=$SECONDS line
    timeout -k 10 "$limit" "./$name" --seed "$seed" --count "$count" \
        >"$name.out" 2>&1 || code=$?
    if [ $code -eq 77 ]; then
        printf 'SKIPPED %s: %s\n' "$name" "$(tail -n 1 "$name.out")"
        return
    fi
    line=$(grep "^faults: " "$name.out" || true)
    grep -v "^faults: \|^$name: seed " "$name.out" || true
    printf '%s (%d s)\n' "${line:-faults: $name ended with $code}" \
        $((SECONDS - start))
    if [ -z "$line" ]; then
        printf 'FINDING stuck: %s; again with ./%s --seed %s --count %s\n' \
            "$name" "$name" "$seed" "$count"
        sums[stuck]=$((sums[stuck] + 1))
    else
        add_up "$line"
    fi
}

wanted() {
    local name=$1 other
    shift
    if [ $# -eq 0 ]; then
        return 0
    fi
    for other in "$@"; do
        if [ "$other" = "$name" ]; then
            return 0
        fi
    done
    return 1
}

printf 'fault tests, seed %s\n' "$seed"
for program in "${programs[@]}"; do
    read -r name count limit <<<"$program"
    if wanted "$name" "$@"; then
        run_program "$name" "$count" "$limit"
    fi
done

noticed='seeded faults not tried'
missed=0
if [ -n "$seeded" ]; then
    bash "$here/seeded.sh" --seed "$seed" | tee seeded.out || missed=1
    noticed=$(tail -n 1 seeded.out)
fi
printf '%d states, %d kills, %d errors, %d damages, %d forgeries tried: ' \
    "${sums[states]}" "${sums[kills]}" "${sums[errors]}" \
    "${sums[damages]}" "${sums[forgeries]}"
printf '%d lost, %d altered, %d forged, %d resurrected, %d stuck; %s; seed %s\n' \
    "${sums[lost]}" "${sums[altered]}" "${sums[forged]}" \
    "${sums[resurrected]}" "${sums[stuck]}" "$noticed" "$seed"
for kind in lost altered forged resurrected stuck; do
    if [ "${sums[$kind]}" -ne 0 ]; then
        exit 1
    fi
done
exit $missed
