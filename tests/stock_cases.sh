# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# stock_cases.sh - the mails of test_stock.sh; to be sourced

# Each row: name | how | content | sender | recipients, with commas between.
# how: smtp; bcc, the port with always_bcc; bdat, without a final newline;
# sendmail; verify, sendmail -bv.  To SMTP, sender and recipients come with
# their parameters.
cases=(
    'several-domains|smtp|plain|<s@outside.test>|<a@one.test>,<b@two.test>,<c@one.test>,<nobody@local.test>,<d@three.test>,<u@vbox.test>,<p@pipe.test>,<q@pipe.test>'
    'one-domain-many|smtp|plain|<s@outside.test>|<m1@one.test>,<m2@one.test>,<m3@one.test>,<m1@one.test>'
    'eight-bit|smtp|eight_bit|<s@outside.test> BODY=8BITMIME|<a@one.test>,<u@vbox.test>'
    'nul-bytes|smtp|nul|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'long-lines|smtp|long_lines|<s@outside.test>|<a@one.test>,<u@vbox.test>,<p@pipe.test>'
    'long-headers|smtp|long_headers|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'no-final-newline|bdat|no_newline|<s@outside.test>|<a@one.test>,<u@vbox.test>,<p@pipe.test>'
    'no-final-newline-local|sendmail|no_newline|s@outside.test|a@one.test,u@vbox.test'
    'dots|smtp|dots|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'dots-bdat|bdat|dots|<s@outside.test>|<a@one.test>'
    'stray-cr|smtp|stray_cr|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'no-header|smtp|no_header|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'empty-body|smtp|empty_body|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'header-in-body|smtp|mbox_lines|<s@outside.test>|<u@vbox.test>,<mbox@local.test>'
    'mime|smtp|mime|<s@outside.test>|<a@one.test>'
    'attachment-20-mb|smtp|attachment|<s@outside.test>|<a@one.test>,<u@vbox.test>'
    'smtputf8|smtp|utf8|<sören@söder.test> SMTPUTF8 BODY=8BITMIME|<jürgen@bücher.test>,<a@one.test>'
    'smtputf8-unneeded|smtp|plain|<s@outside.test> SMTPUTF8|<a@one.test>'
    'null-sender|smtp|plain|<>|<a@one.test>,<nobody@local.test>'
    'dsn-alias|smtp|plain|<s@outside.test> RET=HDRS ENVID=env+2Bid|<expand@local.test> NOTIFY=SUCCESS,<a@one.test> NOTIFY=NEVER'
    'dsn-orcpt|smtp|plain|<s@outside.test> RET=FULL ENVID=e2|<a@dsn.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@y.test,<u@vbox.test> NOTIFY=SUCCESS'
    'dsn-relayed|smtp|plain|<s@outside.test>|<a@one.test> NOTIFY=SUCCESS'
    'filter|smtp|plain|<filter@outside.test>|<a@one.test>,<b@two.test>'
    'redirect|smtp|plain|<redirect@outside.test>|<a@one.test>'
    'virtual-alias|smtp|plain|<s@outside.test>|<team@valias.test>,<chain@valias.test>'
    'virtual-unknown|smtp|plain|<s@outside.test>|<nobody-here@valias.test>'
    'virtual-bad-address|smtp|plain|<s@outside.test>|<dash@valias.test>'
    'always-bcc|bcc|plain|<s@outside.test>|<a@one.test>,<team@valias.test>'
    'alias-out|smtp|plain|<s@outside.test>|<expand@local.test>'
    'alias-loop|smtp|plain|<s@outside.test>|<loop@local.test>'
    'alias-pipe|smtp|plain|<s@outside.test>|<command@local.test>'
    'extension|smtp|plain|<s@outside.test>|<nobody+ext@local.test>,<p+ext@pipe.test>'
    'quoted-local-part|smtp|plain|<"odd sender"@outside.test>|<"odd one"@one.test>,<"a+b c"@pipe.test>'
    'transport-pipe|smtp|eight_bit|<s@outside.test> BODY=8BITMIME|<p@pipe.test>'
    'pipe-one-by-one|smtp|dots|<s@outside.test>|<p@pipe-one.test>,<Q@Pipe-One.test>'
    'pipe-no-newline|bdat|no_newline|<s@outside.test>|<p@pipe-one.test>'
    'pipe-fails|smtp|plain|<s@outside.test>|<fail@pipe.test>'
    'bounce|smtp|plain|<s@outside.test> ENVID=b1|<bad@one.test>,<a@one.test>'
    'bounce-headers|smtp|plain|<s@outside.test> RET=HDRS|<bad@one.test>'
    'bounce-never|smtp|plain|<s@outside.test>|<bad@one.test> NOTIFY=NEVER'
    'error-transport|smtp|plain|<s@outside.test>|<x@error.test>,<a@one.test>'
    'discard-transport|smtp|plain|<s@outside.test>|<x@discard.test>'
    'bad-address|smtp|plain|<s@outside.test>|<-minus@one.test>,<a@one.test>'
    'sendmail|sendmail|plain|s@outside.test|a@one.test,b@two.test,nobody@local.test'
    'sendmail-no-headers|sendmail|bare|s@outside.test|a@one.test'
    'sendmail-bcc-header|sendmail|bcc_header|s@outside.test|a@one.test'
    'sendmail-utf8|sendmail|utf8|s@outside.test|a@one.test'
    'verify|verify|plain|s@outside.test|a@one.test'
    'verify-alias|verify|plain|s@outside.test|expand@local.test'
    'verify-bad|verify|plain|s@outside.test|bad@one.test'
    'verify-verbose|verbose|plain|s@outside.test|a@one.test'
)
# This one has to stay in the queue.
deferred_case='deferred|smtp|plain|<s@outside.test>|<temp1@one.test>,<temp2@one.test>'

# ---- what the mails hold; lines end with LF here --------------------------

header() {
    printf 'From: Sender <s@outside.test>\nTo: List <list@one.test>\n'
    printf 'Subject: a case\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n'
}

content_plain() {
    header
    printf '\nHello,\n\nthis is the text.\n'
}

content_eight_bit() {
    header
    printf 'MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\n'
    printf 'Gr\xfc\xdfe \x80\xff\xfe\n'
}

content_nul() {
    header
    printf 'X-Nul: be\0hind\n\nbody \0 and \0\0 more\n\0\nend\n'
}

repeated() {
    head -c "$2" /dev/zero | tr '\0' "$1"
}

content_long_lines() {
    header
    printf '\n'
    repeated a 100000
    printf '\n.'
    repeated b 100000
    printf '\nshort\n'
    repeated c 2048
    printf '\n'
    repeated d 998
    printf '\n'
}

# With any milter configured, reachable or not, Postfix itself cuts a header
# after 60000 bytes.
content_long_headers() {
    header
    printf 'X-Long: %s\n' "$(repeated h 59000)"
    printf 'X-Folded: a\n\tb\n  c\n'
    printf 'X-Empty:\nx-strange :  spaces  \n\nbody\n'
}

content_no_newline() {
    header
    printf '\nfirst\nlast line without an end'
}

content_dots() {
    header
    printf '\n.\n..\n...\n.a\n .\n\n.\n'
}

content_stray_cr() {
    header
    printf '\none\rtwo\n\r\rthree\nfour\n'
}

content_no_header() {
    printf 'this is no header line\n\nand this is text\n'
}

content_empty_body() {
    header
}

content_mbox_lines() {
    header
    printf '\nFrom me\n>From you\nFrom: a header?\nReceived: not\n\nFrom x\n'
}

content_mime() {
    header
    printf 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="b b"\n'
    printf '\npreamble\n--b b\nContent-Type: text/plain\n\none\n--b b\n'
    printf 'Content-Type: message/rfc822\n\nSubject: inner\n\ntwo\n--b b--\nend\n'
}

# 20 MB in lines of 76, the same each time.
content_attachment() {
    header
    printf 'MIME-Version: 1.0\nContent-Type: application/octet-stream\n'
    printf 'Content-Transfer-Encoding: base64\n\n'
    seq 1 2150000 | base64 -w 76
}

content_utf8() {
    printf 'From: Sören <s@outside.test>\nTo: Jürgen <a@one.test>\n'
    printf 'Subject: schöne Grüße\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n'
    printf 'Content-Type: text/plain; charset=utf-8\n\nGrüße\n'
}

content_bare() {
    printf 'Subject: nothing else\n\ntext\n'
}

content_bcc_header() {
    header
    printf 'Bcc: hidden@two.test\nReturn-Path: <x@y.test>\n\ntext\n'
}

# The mail of a case on standard output; X-Case tells later where a result comes from.
case_content() {
    local name=$1 content=$2
    if [ "$content" != no_header ]; then
        printf 'X-Case: %s\n' "$name"
        if [ "$content" != bare ]; then
            printf 'Message-ID: <%s@case.test>\n' "$name"
        fi
    fi
    "content_$content"
}

# Every case's mail as DIR/NAME.
make_contents() {
    local dir=$1 row name content
    mkdir -p "$dir"
    for row in "${cases[@]}" "$deferred_case"; do
        IFS='|' read -r name _ content _ <<<"$row"
        case_content "$name" "$content" >"$dir/$name"
    done
}
