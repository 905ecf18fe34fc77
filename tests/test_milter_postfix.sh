#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_milter_postfix.sh - is a captured mail what Postfix would have queued?
#
# A private Postfix without a queue manager gets the same mails twice: with
# `capture = off` it leaves them in incoming/ as finished files, with
# `capture = on` the milter takes them.  Envelope, attributes (send options
# and size among them) and content must be equal.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C TZ=UTC0

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
export INSTANCE_PORT_FIRST=${INSTANCE_PORT_FIRST:-20200}
export INSTANCE_PORT_COUNT=${INSTANCE_PORT_COUNT:-100}
# shellcheck source=tests/instance.sh
. "$srcdir/instance.sh"
# shellcheck source=tests/stock_cases.sh
. "$srcdir/stock_cases.sh"
instance_require_root

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-milter.XXXXXX")
chmod 755 "$work"
dir=$work/instance
dump=$build/tests/milter-dump

clean_up() {
    instance_stop "$dir" || true
    if [ -n "${KEEP_RESULTS:-}" ]; then
        echo "kept: $work"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "FAILED: $*"
    tail -n 20 -- "$dir"/log/*.log
    exit 1
}

# ---- the instance ----------------------------------------------------------

configure() {
    local milters='{ unix:syncqmilter/sock, default_action=tempfail }'
    instance_make "$dir" "$(instance_free_port)"
    sed -i '/^qmgr /d' "$dir/config/master.cf"
    cat >"$dir/config/virtual" <<END
team@valias.test a@one.test, b@two.test
END
    cat >"$dir/config/senders" <<END
filter@outside.test FILTER pipestore:filter-hop
redirect@outside.test REDIRECT elsewhere@two.test
END
    echo 'mapped@inside.test changed@outside.test' >"$dir/config/canonical"
    instance_set "$dir" \
        "relayhost = [127.0.0.1]:9" \
        "mydestination = \$myhostname, local.test" \
        "virtual_alias_domains = valias.test" \
        "virtual_alias_maps = texthash:$dir/config/virtual" \
        "smtpd_sender_restrictions = check_sender_access \
texthash:$dir/config/senders" \
        "message_size_limit = 30000000" \
        "smtpd_milters = $milters" "non_smtpd_milters = $milters"
    instance_service "$dir" "127.0.0.1:$(instance_free_port | tee \
        "$dir/bcc.port") inet n - n - - smtpd -o cleanup_service_name=cleanup-bcc"
    instance_service "$dir" "cleanup-bcc unix n - n - 0 cleanup \
-o always_bcc=archive@archive.test"
    mkdir -p "$dir"/syncq/{queue,run} "$dir/queue/syncqmilter"
    chmod 700 "$dir"/syncq/{queue,run}
    cat >"$dir/syncq/syncq.conf" <<END
queue_directory = $dir/syncq/queue
run_directory = $dir/syncq/run
mail_owner = $instance_mail_owner
milter_socket = unix:$dir/queue/syncqmilter/sock
postfix_queue_directory = $dir/queue
postfix_config_directory = $dir/config
allow_any_filesystem = yes
END
    chown "$instance_mail_owner" "$dir"/syncq/{queue,run} \
        "$dir/queue/syncqmilter"
    "$build/admin/syncq" -c "$dir/syncq/syncq.conf" create --size 256M \
        >"$dir/log/create.log" 2>&1 || fail "syncq create"
}

# The programs' own processes; the helper's channel is open when the gate is.
start_helper() {
    "$build/sync-helper/syncq-sync" -e -c "$dir/syncq/syncq.conf" \
        >>"$dir/log/sync.log" 2>&1 &
    echo $! >"$dir/pid/sync"
    disown
    instance_wait 20 open_gate 2>/dev/null || fail "no channel"
}

open_gate() {
    "$dump" gate "$dir/syncq/queue" "$dir/syncq/run" ""
}

milter_answers() {
    [ -S "$dir/queue/syncqmilter/sock" ]
}

start_milter() {
    "$build/milter/syncq-milter" -e -c "$dir/syncq/syncq.conf" \
        -o "capture=$1" >>"$dir/log/milter.log" 2>&1 &
    echo $! >"$dir/pid/milter"
    disown
    instance_wait 20 milter_answers || fail "no milter"
}

stop_milter() {
    local pid
    pid=$(instance_pid "$dir" milter)
    rm "$dir/pid/milter"
    kill "$pid"
    instance_wait 20 instance_gone "$pid" || fail "milter does not stop"
    [ ! -e "$dir/queue/syncqmilter/sock" ] || fail "socket was left behind"
}

# ---- the mails -------------------------------------------------------------

# name | how | content | sender | recipients; see stock_cases.sh
milter_cases=(
    'plain|smtp|plain|<s@outside.test>|<a@one.test>'
    'several|smtp|plain|<s@outside.test> SIZE=500|<a@one.test>,<b@two.test>,<c@one.test>,<nobody@local.test>,<d@ONE.test>'
    'eight-bit|smtp|eight_bit|<s@outside.test> BODY=8BITMIME|<a@one.test>'
    'nul-bytes|smtp|nul|<s@outside.test>|<a@one.test>'
    'long-lines|smtp|long_lines|<s@outside.test>|<a@one.test>'
    'long-headers|smtp|long_headers|<s@outside.test>|<a@one.test>'
    'dots|smtp|dots|<s@outside.test>|<a@one.test>'
    'empty-body|smtp|empty_body|<s@outside.test>|<a@one.test>'
    'mime|smtp|mime|<s@outside.test>|<a@one.test>'
    'four-megabytes|smtp|four_megabytes|<s@outside.test>|<a@one.test>'
    'smtputf8|smtp|utf8|<sören@söder.test> SMTPUTF8 BODY=8BITMIME|<jürgen@bücher.test>,<a@one.test>'
    'smtputf8-unneeded|smtp|plain|<s@outside.test> smtputf8|<a@one.test>'
    'utf8-header-only|smtp|utf8|<s@outside.test>|<a@one.test>'
    'null-sender|smtp|plain|<>|<a@one.test>'
    'unqualified|smtp|plain|<somebody>|<nobody>'
    'route|smtp|plain|<@hop.test:s@outside.test>|<@hop.test:a@one.test>'
    'quoted|smtp|plain|<"odd sender"@outside.test>|<"odd one"@one.test>'
    'mailer-daemon|smtp|plain|<MAILER-DAEMON@mail.instance.test>|<a@one.test>'
    'dsn-alias|smtp|plain|<s@outside.test> RET=HDRS ENVID=env+2Bid|<team@valias.test> NOTIFY=SUCCESS,<a@one.test> NOTIFY=NEVER'
    'dsn-orcpt|smtp|plain|<s@outside.test> RET=FULL ENVID=e2|<a@one.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.test,<b@two.test> NOTIFY=DELAY'
    'filter|smtp|plain|<filter@outside.test>|<a@one.test>'
    'redirect|smtp|plain|<redirect@outside.test>|<a@one.test>'
    'always-bcc|bcc|plain|<s@outside.test>|<a@one.test>,<team@valias.test>'
    'sendmail|sendmail|plain|s@outside.test|a@one.test b@two.test nobody'
    'sendmail-bcc|sendmail|bcc_header|s@outside.test|a@one.test'
    'sendmail-utf8|sendmail|utf8_subject|s@outside.test|a@one.test'
    'sendmail-options|options|plain|s@outside.test|a@one.test'
    'verify|verify|plain|s@outside.test|team@valias.test'
)
# Only Postfix can tell their send options: these are let through.
doubtful_cases=(
    'doubt-parts|smtp|utf8_part|<s@outside.test> SMTPUTF8|<a@one.test>'
    'doubt-from|sendmail|utf8_from|s@outside.test|a@one.test'
)
# With sender_canonical_maps the sender of the file is another one.
mapped_cases=(
    'mapped|smtp|plain|<mapped@inside.test>|<a@one.test>'
)

content_four_megabytes() {
    header
    printf 'Content-Transfer-Encoding: base64\n\n'
    seq 1 450000 | base64 -w 76
}

content_utf8_subject() {
    printf 'From: <s@outside.test>\nSubject: Grüße\n\nGrüße\n'
}

content_utf8_from() {
    printf 'From: Jürgen <s@outside.test>\nSubject: hi\n\nx\n'
}

content_utf8_part() {
    header
    printf 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n'
    printf -- '--b\nContent-Disposition: inline; filename="Grüße"\n\nx\n--b--\n'
}

reply() {
    local line
    while IFS= read -r -t 60 line <&3; do
        if [[ $line != ???-* ]]; then
            printf '%s\n' "${line%$'\r'}"
            return
        fi
    done
    fail "no reply from Postfix"
}

say() {
    local answer
    printf '%s\r\n' "$1" >&3
    answer=$(reply)
    [[ $answer == [23]* ]] || fail "$1: $answer"
}

send_smtp() {
    local port=$1 name=$2 content=$3 sender=$4 recipients=$5 recipient
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    reply >/dev/null
    say "EHLO client.test"
    say "MAIL FROM:$sender"
    while read -r recipient; do
        say "RCPT TO:$recipient"
    done <<<"${recipients//,</$'\n'<}"
    say DATA
    case_content "$name" "$content" | sed -e 's/^\./../' -e 's/$/\r/' >&3
    say .
    say QUIT
    exec 3>&-
}

send_local() {
    local name=$1 content=$2 sender=$3 recipients=$4
    shift 4
    # shellcheck disable=SC2086 # several recipients
    case_content "$name" "$content" |
        MAIL_CONFIG=$dir/config /usr/sbin/sendmail -f "$sender" "$@" \
            -- $recipients
}

send_case() {
    local name how content sender recipients
    IFS='|' read -r name how content sender recipients <<<"$1"
    case $how in
        smtp | bcc)
            send_smtp "$(instance_port "$dir" "$how")" "$name" "$content" \
                "$sender" "$recipients"
            ;;
        sendmail) send_local "$name" "$content" "$sender" "$recipients" ;;
        options)
            send_local "$name" "$content" "$sender" "$recipients" \
                -F "Full Name" -XV+= -N success,delay -R hdrs
            ;;
        verify)
            send_local "$name" "$content" "$sender" "$recipients" -bv
            ;;
    esac
}

# ---- what became of them ---------------------------------------------------

incoming_count() {
    find "$dir/queue/incoming" -type f -perm 0700 | wc -l
}

queued_count() {
    "$dump" queue "$dir/syncq/queue" "$dir/syncq/run" >"$work/queue" || return
    grep -c '^status ' "$work/queue" || true # none is no error
}

count_is() {
    [ "$("$1")" -eq "$2" ]
}

# One file for each message in a dump, without what differs by nature.
split() {
    mkdir -p "$2"
    awk -v dir="$2" '
    function finish(    id, name, count, i) {
        if (!lines)
            return
        for (i = 1; i <= lines; i++) {
            if (line[i] ~ /^attribute queue_id /)
                id = substr(line[i], 20)
            if (line[i] ~ /^N X-Case: / && name == "")
                name = substr(line[i], 11)
            if (line[i] == "N Subject: probe") # all that is left of -bv
                name = "verify"
        }
        count = 0
        for (i = 1; i <= lines; i++)
            if (line[i] ~ /^[NL] /)
                count += gsub(id, "ID", line[i])
            else
                gsub(id, "ID", line[i])
        for (i = 1; i <= lines; i++) {
            if (line[i] ~ /^attribute (arrival|create_time|log_client_port) /)
                sub(/ [0-9 ]+$/, " -", line[i])
            if (line[i] ~ /^attribute size /)
                line[i] = "attribute size " \
                    substr(line[i], 16) - count * length(id)
            # Of our Received: and, of -bv, Date:
            sub(/(; |\\09|Date: )[A-Z][a-z][a-z], .* \(UTC\)$/, "DATE", line[i])
            print line[i] > (dir "/" name)
        }
        close(dir "/" name)
        lines = 0
    }
    /^$/ { finish(); next }
    { line[++lines] = $0 }
    END { finish() }' "$1"
}

# The finished files in incoming/, with their trace logs as the record has them.
dump_incoming() {
    local file id
    for file in "$dir"/queue/incoming/*; do
        id=${file##*/}
        "$dump" file "$file" "$id" >"$work/one" || fail "$file"
        if [ -s "$dir/queue/trace/$id" ]; then
            sed -i '/^$/d' "$work/one"
            printf 'attribute trace_log %s\n\n' "$(
                sed -z 's/\n/\\0a/g' "$dir/queue/trace/$id"
            )" >>"$work/one"
        fi
        cat "$work/one"
        rm -f "$file" "$dir/queue/trace/$id"
    done
}

compare() {
    local name
    for row in "$@"; do
        name=${row%%|*}
        # The trace log stands at another place in the two.
        diff <(grep -v '^status ' "$work/captured/$name" | sort) \
            <(sort "$work/stock/$name") >"$work/diff" ||
            fail "$name: captured (<) and queued by Postfix (>):
$(head -c 3000 "$work/diff")"
        diff <(grep '^[NL] ' "$work/captured/$name") \
            <(grep '^[NL] ' "$work/stock/$name") >"$work/diff" ||
            fail "$name: order of content"
        grep -q '^status synced$' "$work/captured/$name" ||
            fail "$name: not synced"
    done
}

send_all() {
    local row
    for row in "$@"; do
        send_case "$row"
    done
}

# The same mails left to Postfix, then captured.
run() {
    local before=$1
    shift
    rm -rf "$work"/{stock,captured}
    start_milter off
    send_all "$@"
    instance_wait 30 count_is incoming_count $# || fail "stock mail is missing"
    dump_incoming >"$work/dump"
    split "$work/dump" "$work/stock"
    stop_milter

    start_milter on
    send_all "$@"
    instance_wait 30 count_is queued_count $((before + $#)) ||
        fail "captured mail is missing: $(queued_count) of $((before + $#))"
    split "$work/queue" "$work/captured"
    instance_wait 30 count_is incoming_files 0 || fail "files were left"
    stop_milter
    compare "$@"
}

incoming_files() {
    find "$dir/queue/incoming" -type f | wc -l
}

# ----------------------------------------------------------------------------

configure
start_helper
instance_start "$dir" # without milter: it is started for each run

run 0 "${milter_cases[@]}"
echo "${#milter_cases[@]} mails captured as Postfix would have queued them"
discards=$(grep -c 'milter-discard: END-OF-MESSAGE' "$dir/log/mail.log")
[ "$discards" -eq ${#milter_cases[@]} ] || fail "$discards discards"

start_milter on
send_all "${doubtful_cases[@]}"
instance_wait 30 count_is incoming_count ${#doubtful_cases[@]} ||
    fail "a doubtful mail is missing"
[ "$(queued_count)" -eq ${#milter_cases[@]} ] || fail "a doubtful mail queued"
[ "$(grep -c 'only Postfix can tell' "$dir/log/milter.log")" -eq \
    ${#doubtful_cases[@]} ] || fail "not told why"
stop_milter
rm -f "$dir"/queue/incoming/*
echo "${#doubtful_cases[@]} mails of doubt left to Postfix"

instance_set "$dir" \
    "sender_canonical_maps = texthash:$dir/config/canonical"
postfix -c "$dir/config" reload 2>>"$dir/log/start.log"
run ${#milter_cases[@]} "${mapped_cases[@]}"
grep -q '^sender changed@outside.test$' "$work/captured/mapped" ||
    fail "the sender was not mapped"
echo "mail with a mapped sender captured"
