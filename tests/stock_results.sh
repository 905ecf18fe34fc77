# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# stock_results.sh - what came out of an instance, made comparable; to be
# sourced by test_stock.sh
#
# A directory of results holds a file for each mail that arrived anywhere,
# PLACE.CASE.N, with its envelope if it has one; a file for each answer to a
# client, reply.CASE; and the log lines about mail.  N counts the mails of one
# case at one place in the order of their digests, because the order of
# arrival means nothing.

day='(Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
month='(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)'

# Make equal what differs by nature.
normalize_text() {
    local dir=$1
    sed -E \
        -e "s|$dir|DIR|g" \
        -e "s/$day, +[0-9]+ $month [0-9]{4} [0-9:]{8} [-+][0-9]{4}( \([A-Z]+\))?/DATE/g" \
        -e "s/^(From [^ ]+|-Queue ID-.*)  $day $month .*/\1 DATE/" \
        -e 's/\b[0-9A-Za-z]{10,}\.[0-9]{10}\/mail\.instance\.test/BOUNDARY/g' \
        -e 's/<([0-9]{14}\.)?[0-9A-Za-z]{10,}@mail/<ID@mail/g' \
        -e 's/(\bid |X-Postfix-Queue-ID: |queued as )[0-9A-Za-z]{10,}/\1ID/g' \
        -e 's/\[(127\.0\.0\.1|localhost)\]:[0-9]+/[HOST]:PORT/g' \
        -e 's/"queue_id": "[^"]*", "arrival_time": [0-9]+/ID, TIME/' \
        -e 's/"message_size": [0-9]+/SIZE/' \
        -e "s/^[0-9A-Za-z]{10,} +[0-9]+ $day $month [0-9 :]{11}/ID SIZE TIME/"
}

# The same for a mail, which has nothing of that far below its top.
normalize() {
    head -c 65536 | normalize_text "$1"
    cat
}

# Where a result belongs: the case, or what kind of mail without one it is.
case_of() {
    local name
    name=$(sed -n '/^X-Case: */{s///;s/[^a-z0-9-].*//;p;q}' "$1")
    echo "${name:-none}"
}

# Move a file to RESULTS/PLACE.CASE.DIGEST.N.
keep_result() {
    local results=$1 place=$2 file=$3 digest name number=1
    digest=$(sha256sum <"$file")
    name=$results/$place.$(case_of "$file").${digest%% *}
    while [ -e "$name.$number" ]; do
        number=$((number + 1))
    done
    mv "$file" "$name.$number"
}

collect_sink() {
    local dir=$1 results=$2 name=$3 envelope
    for envelope in "$dir/$name"/*.env; do
        [ -e "$envelope" ] || continue
        { sort "$envelope"; cat "${envelope%.env}.eml"; } |
            normalize "$dir" >"$results/new"
        keep_result "$results" "$name" "$results/new"
    done
}

collect_stored() {
    local dir=$1 results=$2 file place
    while IFS= read -r file; do
        normalize "$dir" <"$file" >"$results/new"
        place=${file#"$dir/store/"}
        keep_result "$results" "${place%%/*}" "$results/new"
    done < <(find "$dir/store" -type f)
}

# Log lines of everyone who decides about mail, by message-id: agents' lines
# have to say the same as stock's.
collect_log() {
    local dir=$1 results=$2
    normalize_text "$dir" <"$dir/log/mail.log" | awk '
        { id = $6; sub(/:$/, "", id) }
        $5 ~ /\/cleanup/ && /message-id=/ {
            name[id] = $7
            if (name[id] ~ /@mail\.instance\.test/) name[id] = "notice"
        }
        / (to=<|from=<.*queue active|removed$|.*notification: )/ &&
        $5 ~ /\/(smtp|local|virtual|pipe|error|discard|qmgr|bounce)\[/ {
            agent = $5; sub(/\[.*/, "", agent); sub(/.*\//, "", agent)
            text = $0; for (i = 1; i <= 6; i++) sub(/^[^ ]+ +/, "", text)
            gsub(/ (conn_use|delay|delays)=[0-9.\/]+,/, "", text)
            gsub(/size=[0-9]+/, "size=N", text)
            sub(/notification: .*/, "notification", text)
            gsub(/\(forwarded as .*\)/, "(forwarded)", text)
            lines[++count] = agent " " text; ids[count] = id
        }
        END { for (i = 1; i <= count; i++) print name[ids[i]], lines[i] }
    ' | sort >"$results/log"
}

# PLACE.CASE.DIGEST.N becomes PLACE.CASE.N.
number_results() {
    local results=$1 file stem last='' number=0
    for file in "$results"/*.*.*.*; do
        stem=${file%.*.*}
        [ "$stem" = "$last" ] || number=0
        last=$stem
        number=$((number + 1))
        mv "$file" "$stem.$number"
    done
}

# collect DIR RESULTS
collect() {
    local dir=$1 results=$2 file
    rm -rf "$results"
    mkdir -p "$results"
    collect_sink "$dir" "$results" sink
    collect_sink "$dir" "$results" sink-dsn
    collect_stored "$dir" "$results"
    number_results "$results"
    for file in "$dir"/replies/*; do
        normalize "$dir" <"$file" >"$results/reply.${file##*/}"
    done
    collect_log "$dir" "$results"
}

results_equal() {
    diff -rq "$1" "$2" >/dev/null
}

results_show_difference() {
    diff -rq "$1" "$2" | head -n 40 || true
    diff -ra "$1" "$2" | cut -c 1-300 | head -n 100 || true
}
