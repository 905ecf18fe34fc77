#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_stock.sh - the same mails through stock Postfix and through syncq
#
# Three private instances get the same mails: two stock ones, whose results
# must be equal (or the comparison itself is worthless), and one with syncq.
# A result is everything that came out: replies to the client, mail and
# envelopes at the sinks, local mailboxes, what a pipe command got, bounces
# and reports, the delivery agents' log lines, the mail queue's listing.  What
# differs by nature (ids, dates, ports, directories) is made equal first.
# shellcheck disable=SC2317 # some functions are called by others or by traps
set -euo pipefail
export LC_ALL=C

srcdir=${srcdir:-$(dirname "$0")}
build=$(realpath "${top_builddir:-..}")
# shellcheck source=tests/instance.sh
. "$srcdir/instance.sh"
# shellcheck source=tests/stock_cases.sh
. "$srcdir/stock_cases.sh"
# shellcheck source=tests/stock_results.sh
. "$srcdir/stock_results.sh"
instance_require_root

work=$(mktemp -d "${TMPDIR:-/var/tmp}/syncq-stock.XXXXXX")
chmod 755 "$work"
instances=()

clean_up() {
    local dir
    for dir in "${instances[@]}"; do
        instance_stop "$dir" || true
    done
    if [ -n "${KEEP_RESULTS:-}" ]; then
        echo "kept: $work"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# ---- the instances ---------------------------------------------------------

write_maps() {
    local dir=$1
    cat >"$dir/config/aliases" <<END
mbox $dir/store/mbox
expand far@one.test, u@vbox.test
loop loop@local.test, a@one.test
command "|$dir/config/pipe-store $dir/store/command alias"
END
    cat >"$dir/config/virtual" <<END
team@valias.test a@one.test, b@two.test, nobody@local.test
chain@valias.test team@valias.test, c@three.test
dash@valias.test -minus@one.test, a@one.test
END
    echo "u@vbox.test u/" >"$dir/config/vbox"
    cat >"$dir/config/transport" <<END
pipe.test pipestore:hop
pipe-one.test pipeone:
dsn.test smtp:[127.0.0.1]:$(instance_port "$dir" sink-dsn)
two.test smtp:[localhost]:$(instance_port "$dir" sink)
error.test error:5.7.1 no mail for this domain
discard.test discard:dropped
END
    cat >"$dir/config/senders" <<END
filter@outside.test FILTER pipestore:filter-hop
redirect@outside.test REDIRECT elsewhere@two.test
END
}

# Keeps its arguments and its input in a new file; fails for fail@pipe.test.
write_pipe_command() {
    local dir=$1
    cat >"$dir/config/pipe-store" <<'END'
#!/bin/sh
directory=$1
shift
case "$*" in
    *fail@*) echo "this command always fails"; exit 67 ;;
esac
file=$(mktemp "$directory/new.XXXXXX") || exit 75
{ printf '%s\n' "$*"; cat; } >"$file" || exit 75
mv "$file" "${file%/*}/mail.${file##*.}"
END
    chmod 755 "$dir/config/pipe-store"
    mkdir -p "$dir"/store/{command,pipe,pipe-one,virtual,spool}
    chown -R "$instance_user" "$dir/store"
}

add_services() {
    local dir=$1
    instance_free_port >"$dir/bcc.port"
    instance_service "$dir" "127.0.0.1:$(instance_port "$dir" bcc) inet n - n \
- - smtpd -o cleanup_service_name=cleanup-bcc"
    instance_service "$dir" "cleanup-bcc unix n - n - 0 cleanup \
-o always_bcc=archive@archive.test"
    instance_service "$dir" "pipestore unix - n n - - pipe flags=Ru \
user=$instance_user argv=$dir/config/pipe-store $dir/store/pipe \
\${sender} \${recipient} \${original_recipient} \${nexthop} \${extension} \
\${client_protocol}"
    instance_service "$dir" "pipeone unix - n n - - pipe flags=DORXhq. \
user=$instance_user argv=$dir/config/pipe-store $dir/store/pipe-one \
\${sender} \${recipient} \${nexthop} \${mailbox} \${domain}"
}

configure() {
    local dir=$1
    write_maps "$dir"
    write_pipe_command "$dir"
    add_services "$dir"
    instance_set "$dir" \
        "relayhost = [127.0.0.1]:$(instance_port "$dir" sink)" \
        "mydestination = \$myhostname, local.test" \
        "alias_maps = texthash:$dir/config/aliases" \
        "mail_spool_directory = $dir/store/spool/" \
        "virtual_alias_domains = valias.test" \
        "virtual_alias_maps = texthash:$dir/config/virtual" \
        "virtual_mailbox_domains = vbox.test" \
        "virtual_mailbox_maps = texthash:$dir/config/vbox" \
        "virtual_mailbox_base = $dir/store/virtual" \
        "virtual_uid_maps = static:$(id -u "$instance_user")" \
        "virtual_gid_maps = static:$(id -g "$instance_user")" \
        "virtual_mailbox_limit = 0" "mailbox_size_limit = 0" \
        "transport_maps = texthash:$dir/config/transport" \
        "smtpd_sender_restrictions = check_sender_access \
texthash:$dir/config/senders" \
        "pipeone_destination_recipient_limit = 1" \
        "message_size_limit = 30000000" "recipient_delimiter = +" \
        "smtpd_reject_unlisted_recipient = no"
}

make_instance() {
    local dir=$1
    instances+=("$dir")
    instance_make "$dir" "$(instance_free_port)"
    instance_sink_start "$dir" "$build" sink --fail 'bad@*' --tempfail 'temp*'
    instance_sink_start "$dir" "$build" sink-dsn --dsn
    configure "$dir"
    if [ "$2" = syncq ]; then
        instance_add_syncq "$dir" "$build" 512M
    fi
    instance_start "$dir"
}

# ---- sending ---------------------------------------------------------------

# Read a whole reply from descriptor 3 and keep it.
reply() {
    local line
    while IFS= read -r -t 60 line <&3; do
        printf '%s\n' "${line%$'\r'}"
        if [[ $line != ???-* ]]; then
            return
        fi
    done
    echo "no reply"
}

say() {
    printf '%s\r\n' "$1" >&3
    reply
}

smtp_content() {
    local how=$1 content=$2 answer
    if [ "$how" = bdat ]; then
        sed -z 's/\n/\r\n/g' "$content" >"$work/wire"
        printf 'BDAT %s LAST\r\n' "$(stat -c %s "$work/wire")" >&3
        cat "$work/wire" >&3
    else
        answer=$(say DATA)
        printf '%s\n' "$answer"
        if [[ $answer != 354* ]]; then
            return
        fi
        sed -e 's/^\./../' -e 's/$/\r/' "$content" >&3
        printf '.\r\n' >&3
    fi
    reply
}

send_smtp() {
    local port=$1 how=$2 content=$3 sender=$4 recipients=$5 recipient
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    reply
    say "EHLO client.test"
    say "MAIL FROM:$sender"
    while read -r recipient; do
        say "RCPT TO:$recipient"
    done <<<"${recipients//,</$'\n'<}"
    smtp_content "$how" "$content"
    say QUIT
    exec 3>&-
}

send_case() {
    local dir=$1 row=$2 name how sender recipients content
    IFS='|' read -r name how _ sender recipients <<<"$row"
    content=$work/content/$name
    case $how in
        smtp | bdat) send_smtp "$(instance_port "$dir" smtp)" "$how" \
            "$content" "$sender" "$recipients" ;;
        bcc) send_smtp "$(instance_port "$dir" bcc)" "$how" \
            "$content" "$sender" "$recipients" ;;
        *) send_sendmail "$dir" "$how" "$content" "$sender" "$recipients" ;;
    esac >"$dir/replies/$name"
}

send_sendmail() {
    local dir=$1 how=$2 content=$3 sender=$4 options=()
    case $how in
        verify) options=(-bv) ;;
        verbose) options=(-v) ;;
    esac
    # shellcheck disable=SC2086 # the recipients are words
    sendmail -C "$dir/config" -f "$sender" -i "${options[@]}" -- \
        ${5//,/ } <"$content" && echo "sendmail took it"
}

is_deferred() {
    postqueue -c "$1/config" -j | grep -q '"deferred".*"delay_reason"'
}

# All cases, and one that has to stay in the queue.
run_cases() {
    local dir=$1 row
    mkdir -p "$dir/replies"
    for row in "${cases[@]}"; do
        send_case "$dir" "$row"
    done
    instance_wait_empty "$dir" 60 ||
        instance_fail "$dir: mail is left: $(postqueue -c "$dir/config" -j)"
    send_case "$dir" "$deferred_case"
    instance_wait 30 is_deferred "$dir" ||
        instance_fail "$dir: nothing is deferred"
    postqueue -c "$dir/config" -j >"$dir/replies/mailq-json"
    postqueue -c "$dir/config" -p >"$dir/replies/mailq-text"
}

# ---- the test --------------------------------------------------------------

failed=0

expect_equal() {
    local left=$work/$1.results right=$work/$2.results
    if results_equal "$left" "$right"; then
        echo "ok: $1 and $2 have the same $(find "$left" -type f | wc -l) results"
    else
        echo "NOT ok: $1 and $2 differ"
        results_show_difference "$left" "$right"
        failed=1
    fi
}

# Change what the second stock instance left behind: it has to be seen.
expect_caught() {
    local what=$1 dir=$work/stock-again
    shift
    rm -rf "$work/kept"
    cp -a "$dir" "$work/kept"
    (cd "$dir" && "$@")
    collect "$dir" "$work/altered.results"
    if results_equal "$work/stock.results" "$work/altered.results"; then
        echo "NOT ok: $what is not seen"
        failed=1
    else
        echo "ok: $what is seen"
    fi
    rm -rf "$dir"
    mv "$work/kept" "$dir"
}

alter_body() {
    sed -i 's/this is the text/this is the Text/' sink/1.eml
}

alter_recipient() {
    sed -i 's/^RCPT TO:<\(.\)/RCPT TO:<x\1/' sink/1.env
}

alter_lose() {
    rm sink/2.eml sink/2.env
}

alter_double() {
    cp sink/1.eml sink/9999.eml
    cp sink/1.env sink/9999.env
}

alter_status() {
    sed -i '0,/status=sent/s//status=deferred/' log/mail.log
}

alter_mailbox() {
    echo more | tee -a store/spool/*/new/* >/dev/null
}

# Otherwise the comparison would only show Postfix beside Postfix.
expect_captured() {
    local count
    count=$(grep -c 'milter-discard' "$work/syncq/log/mail.log" || true)
    if ((count < ${#cases[@]})); then
        echo "NOT ok: only $count of more than ${#cases[@]} mails were captured"
        failed=1
    else
        echo "ok: $count mails went through the queue"
    fi
}

run_instance() {
    local name=$1 kind=$2
    make_instance "$work/$name" "$kind"
    run_cases "$work/$name"
    instance_stop "$work/$name"
    collect "$work/$name" "$work/$name.results"
}

make_contents "$work/content"
run_instance stock stock
run_instance stock-again stock
expect_equal stock stock-again
expect_caught "an altered text" alter_body
expect_caught "an altered recipient" alter_recipient
expect_caught "a lost mail" alter_lose
expect_caught "a doubled mail" alter_double
expect_caught "another status" alter_status
expect_caught "an altered mailbox" alter_mailbox
if [ -z "${STOCK_ONLY:-}" ]; then
    run_instance syncq syncq
    expect_equal stock syncq
    expect_captured
fi
exit "$failed"
