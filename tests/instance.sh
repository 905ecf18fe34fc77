# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# instance.sh - private Postfix instances, with or without syncq; to be sourced
#
# An instance is a directory with everything in it: config/ queue/ data/ log/,
# store/ for local mailboxes, one directory for each sink, and with syncq also
# syncq/.  It listens on 127.0.0.1 only and shares nothing with the machine's
# own Postfix but its programs.  It has to be on a path that the mail owner
# may pass.  Functions print nothing unless something is wrong.
#
#   instance_make DIR PORT          configuration and directories, stock
#   instance_add_syncq DIR BUILD [SIZE]   swap in the programs of a build tree
#   instance_add_file DIR NAME [SIZE]     one more queue file, in DIR/NAME/queue
#   instance_files DIR queue_files|drain_files NAME...   lists of such names
#   instance_set DIR NAME=VALUE...  main.cf
#   instance_service DIR LINE       one more line of master.cf
#   instance_start DIR, instance_stop DIR   until all is well; all of it
#   instance_status DIR             true if so; syncq status is in log/status
#   instance_serves DIR             the same, but damaged data may be reported
#   instance_sink_start DIR BUILD NAME [OPTION]...   mail-sink into DIR/NAME
#   instance_port DIR smtp|NAME     where they listen
#   instance_wait_empty DIR SECONDS bounded wait until nothing is queued
#   instance_syncq DIR VERB...      the administrator's command
#   instance_daemon_start DIR sync|milter, instance_pid DIR NAME
#   instance_free_port              a port that nobody listens on
#   instance_require_root           ends a test as skipped without root

instance_mail_owner=postfix
instance_user=nobody # owner of local mailboxes, runs pipe commands

instance_fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    return 1
}

instance_require_root() {
    if [ "$(id -u)" -ne 0 ] || ! command -v postfix >/dev/null; then
        echo "needs root and an installed Postfix"
        exit 77
    fi
}

instance_free_port() {
    local from=${INSTANCE_PORT_FIRST:-20500} count=${INSTANCE_PORT_COUNT:-200}
    local try port
    for ((try = 0; try < 1000; try++)); do
        port=$((from + RANDOM % count))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
    instance_fail "no free port from $from on"
}

# Wait until a command succeeds, at most so many seconds.
instance_wait() {
    local seconds=$1 deadline
    shift
    deadline=$((SECONDS + seconds))
    until "$@"; do
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.05
    done
}

instance_make_main() {
    local dir=$1
    cat >"$dir/config/main.cf" <<END
compatibility_level = 3.6
queue_directory = $dir/queue
data_directory = $dir/data
maillog_file = $dir/log/mail.log
maillog_file_prefixes = $dir
myhostname = mail.instance.test
mydestination = \$myhostname
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_tls_security_level = none
enable_long_queue_ids = yes
in_flow_delay = 0
default_privs = $instance_user
mailbox_delivery_lock = fcntl
smtpd_forbid_bare_newline = no
END
}

instance_make_master() {
    local dir=$1 port=$2
    cat >"$dir/config/master.cf" <<END
# service type  private unpriv chroot wakeup maxproc command + args
127.0.0.1:$port inet n -  n - -   smtpd
pickup    unix  n       -      n      60     1       pickup
cleanup   unix  n       -      n      -      0       cleanup
qmgr      unix  n       -      n      300    1       qmgr
rewrite   unix  -       -      n      -      -       trivial-rewrite
bounce    unix  -       -      n      -      0       bounce
defer     unix  -       -      n      -      0       bounce
trace     unix  -       -      n      -      0       bounce
verify    unix  -       -      n      -      1       verify
flush     unix  n       -      n      1000?  0       flush
proxymap  unix  -       -      n      -      -       proxymap
smtp      unix  -       -      n      -      -       smtp
relay     unix  -       -      n      -      -       smtp
showq     unix  n       -      n      -      -       showq
error     unix  -       -      n      -      -       error
retry     unix  -       -      n      -      -       error
discard   unix  -       -      n      -      -       discard
local     unix  -       n      n      -      -       local
virtual   unix  -       n      n      -      -       virtual
lmtp      unix  -       -      n      -      -       lmtp
anvil     unix  -       -      n      -      1       anvil
scache    unix  -       -      n      -      1       scache
postlog   unix-dgram n  -      n      -      1       postlogd
END
}

instance_make() {
    local dir=$1 port=$2
    if [[ $dir =~ [[:space:]] || $dir != /* ]]; then
        instance_fail "$dir: has to be an absolute path without white space"
        return 1
    fi
    mkdir -p "$dir"/{config,queue,data,log,store,pid}
    chmod 755 "$dir" "$dir"/{config,queue,log}
    chown "$instance_mail_owner" "$dir/data"
    chown "$instance_user" "$dir/store"
    if ! setpriv --reuid="$instance_mail_owner" --clear-groups \
        test -x "$dir/config"; then
        instance_fail "$dir: user $instance_mail_owner may not pass there"
        return 1
    fi
    instance_make_main "$dir"
    instance_make_master "$dir" "$port"
    echo "$port" >"$dir/smtp.port"
}

instance_set() {
    local dir=$1
    shift
    postconf -c "$dir/config" -e "$@"
}

instance_service() {
    printf '%s\n' "$2" >>"$1/config/master.cf"
}

# What master(8) has to execute instead of its own program.
instance_command() {
    realpath --no-symlinks --relative-to=/usr/lib/postfix/sbin "$1"
}

instance_swap_service() {
    local dir=$1 service=$2 program=$3
    if [[ $program =~ [[:space:]] ]]; then
        instance_fail "$program: master.cf allows no white space"
        return 1
    fi
    sed -i "s|^\($service .* \)$service\$|\1$(instance_command "$program") \
-o syncq_config_file=$dir/syncq/syncq.conf|" "$dir/config/master.cf"
    grep -q "^$service .*syncq.conf" "$dir/config/master.cf"
}

instance_add_syncq() {
    local dir=$1 build size=${3:-256M}
    local milters='{ unix:syncqmilter/sock, default_action=accept }'
    build=$(realpath "$2")
    mkdir -p "$dir"/syncq/{queue,run} "$dir/queue/syncqmilter"
    chmod 700 "$dir"/syncq/{queue,run}
    mkdir -p "$dir/log/sanitizer"
    chown "$instance_mail_owner" "$dir"/syncq/{queue,run} \
        "$dir/queue/syncqmilter" "$dir/log/sanitizer"
    echo "$build" >"$dir/syncq/build"
    cat >"$dir/syncq/syncq.conf" <<END
queue_directory = $dir/syncq/queue
run_directory = $dir/syncq/run
mail_owner = $instance_mail_owner
milter_socket = unix:$dir/queue/syncqmilter/sock
postfix_config_directory = $dir/config
postfix_queue_directory = $dir/queue
END
    case $(stat -f -c %T "$dir/syncq/queue") in
        ext2/ext3 | xfs) ;;
        *) echo "allow_any_filesystem = yes" >>"$dir/syncq/syncq.conf" ;;
    esac
    # After a crash without new mail only master's wakeup brings a queue
    # manager back; nobody waits five minutes here.
    sed -i '/^qmgr /s/ 300 / 5 /' "$dir/config/master.cf"
    instance_swap_service "$dir" qmgr "$build/qmgr/syncq-qmgr"
    instance_swap_service "$dir" showq "$build/qmgr/syncq-showq"
    instance_set "$dir" \
        "smtpd_milters = $milters" "non_smtpd_milters = $milters" \
        "import_environment = $(postconf -dh import_environment) \
$(instance_sanitizer_options "$dir")"
    instance_syncq "$dir" create --size "$size"
}

# It is not in any list yet.
instance_add_file() {
    local dir=$1 name=$2 size=${3:-64M}
    mkdir -p "$dir/$name/queue"
    chmod 700 "$dir/$name/queue"
    chown "$instance_mail_owner" "$dir/$name" "$dir/$name/queue"
    instance_syncq "$dir" create --file "$dir/$name/queue" --size "$size"
}

# The one that instance_add_syncq has made is called syncq.
instance_files() {
    local dir=$1 parameter=$2 name list=
    shift 2
    for name in "$@"; do
        list+=" $dir/$name/queue"
    done
    sed -i "/^$parameter =/d" "$dir/syncq/syncq.conf"
    echo "$parameter =$list" >>"$dir/syncq/syncq.conf"
}

# Where programs built with sanitizers report: master(8) throws their standard
# error away.  Leaks are left to the unit tests, as the milter forbids tracing.
instance_sanitizer_options() {
    local reports=$1/log/sanitizer
    echo "ASAN_OPTIONS=detect_leaks=0:log_path=$reports/asan" \
        "UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/ubsan"
}

# False, and the first one, if there are such reports.
instance_check_reports() {
    local report
    for report in "$1"/log/sanitizer/*; do
        if [ -s "$report" ]; then
            instance_fail "$report: $(head -n 30 "$report")"
            return 1
        fi
    done
}

instance_syncq() {
    local dir=$1
    shift
    "$(cat "$dir/syncq/build")/admin/syncq" -c "$dir/syncq/syncq.conf" "$@"
}

# Start syncq-sync or syncq-milter; it may not serve yet.
instance_daemon_start() {
    local dir=$1 name=$2 build program options
    build=$(cat "$dir/syncq/build")
    case $name in
        sync) program=$build/sync-helper/syncq-sync ;;
        milter) program=$build/milter/syncq-milter ;;
    esac
    read -ra options <<<"$(instance_sanitizer_options "$dir")"
    # In a session of its own, so that Ctrl-C leaves the stopping to us.
    setsid env "${options[@]}" "$program" -e -c "$dir/syncq/syncq.conf" \
        >>"$dir/log/$name.log" 2>&1 &
    disown # or the shell would tell of each one that is killed
    echo $! >"$dir/pid/$name"
}

instance_pid() {
    cat "$1/pid/$2" 2>/dev/null
}

instance_master_pid() {
    tr -d ' ' <"$1/queue/pid/master.pid" 2>/dev/null
}

# True when this process is gone; takes the exit status of our own children.
instance_gone() {
    ! kill -0 "$1" 2>/dev/null
}

instance_kill() {
    local dir=$1 name=$2 pid
    pid=$(instance_pid "$dir" "$name") || return 0
    rm -f "$dir/pid/$name"
    if kill "$pid" 2>/dev/null && ! instance_wait 15 instance_gone "$pid"; then
        kill -9 "$pid"
        instance_fail "$name (pid $pid) did not end"
    fi
}

instance_status() {
    instance_syncq "$1" status >"$1/log/status" 2>&1
}

instance_serves() {
    instance_status "$1" ||
        [ "$(sed -n '/^NOT WELL:/,$s/^[^:]*: *//p' "$1/log/status")" = \
            "confirmed data is damaged, see 'syncq check'" ]
}

instance_helper_runs() {
    instance_status "$1" || grep -q '^sync helper: *running' "$1/log/status"
}

# The helper first: the milter would not look for it again at once.
instance_start_daemons() {
    local dir=$1
    instance_daemon_start "$dir" sync
    if ! instance_wait 30 instance_helper_runs "$dir"; then
        instance_fail "syncq-sync: $(tail -n 1 "$dir/log/sync.log")"
        return 1
    fi
    instance_daemon_start "$dir" milter
    if ! instance_wait 20 test -S "$dir/queue/syncqmilter/sock"; then
        instance_fail "syncq-milter: $(tail -n 1 "$dir/log/milter.log")"
        return 1
    fi
}

instance_start() {
    local dir=$1
    rm -f "$dir/queue/syncqmilter/sock"
    if [ -e "$dir/syncq/build" ]; then
        instance_start_daemons "$dir" || return 1
    fi
    if ! postfix -c "$dir/config" start >"$dir/log/start.log" 2>&1; then
        instance_fail "Postfix does not start: $(cat "$dir/log/start.log")"
        return 1
    fi
    if [ -e "$dir/syncq/build" ] &&
        ! instance_wait 30 instance_serves "$dir"; then
        instance_fail "not ready: $(tail -n 1 "$dir/log/status")"
        return 1
    fi
}

instance_stop() {
    local dir=$1 name master
    if master=$(instance_master_pid "$dir") && kill -0 "$master" 2>/dev/null
    then
        postfix -c "$dir/config" stop >>"$dir/log/start.log" 2>&1 || true
        instance_wait 10 instance_gone "$master" || true
    fi
    for name in "$dir"/pid/*; do
        instance_kill "$dir" "${name##*/}"
    done
    instance_check_reports "$dir"
}

instance_sink_start() {
    local dir=$1 build=$2 name=$3 line
    shift 3
    mkdir -p "$dir/$name"
    rm -f "$dir/$name.pipe"
    mkfifo "$dir/$name.pipe"
    setsid "$build/tests/mail-sink" -p "$(instance_port "$dir" "$name")" \
        -d "$dir/$name" "$@" >"$dir/$name.pipe" 2>>"$dir/log/$name.log" &
    disown
    echo $! >"$dir/pid/$name"
    if ! read -r -t 10 line <"$dir/$name.pipe"; then
        instance_fail "mail-sink: $(tail -n 1 "$dir/log/$name.log")"
        return 1
    fi
    rm -f "$dir/$name.pipe"
    echo "${line##*:}" >"$dir/$name.port"
}

# The port of smtp or a sink, which keeps it over a restart; 0: none yet.
instance_port() {
    cat "$1/$2.port" 2>/dev/null || echo 0
}

instance_is_empty() {
    local dir=$1 list
    list=$(postqueue -c "$dir/config" -j 2>/dev/null) && [ -z "$list" ]
}

instance_wait_empty() {
    instance_wait "$2" instance_is_empty "$1"
}
