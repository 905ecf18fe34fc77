# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# packages.sh - install Debian packages and start nothing; to be sourced
#
# packages_install NAME...: those that are missing, as root.  No service is
# started, an installed mail server is not replaced, and Postfix comes without
# a configuration of its own.

# shellcheck disable=SC2034 # for those who source this
packages_build=(gcc libc6-dev make autoconf automake libtool pkg-config
    libmilter-dev libdb5.3-dev libxxhash-dev libsodium-dev libevent-dev
    libjansson-dev libsmartcols-dev libcmocka-dev libfuse3-dev)
# shellcheck disable=SC2034
packages_run=(postfix procps util-linux e2fsprogs fuse3)

packages_policy=/usr/sbin/policy-rc.d

packages_fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    return 1
}

packages_is_missing() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" != installed ]
}

# Put the machine's own policy back.
packages_policy_restore() {
    rm -f "$packages_policy"
    if [ -e "$packages_policy.before-syncq" ]; then
        mv "$packages_policy.before-syncq" "$packages_policy"
    fi
}

packages_policy_forbid() {
    if [ -e "$packages_policy" ]; then
        mv "$packages_policy" "$packages_policy.before-syncq"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$packages_policy"
    chmod 755 "$packages_policy"
}

# apt must not throw out anything, above all no other mail server.
packages_check() {
    local plan
    if ! plan=$(apt-get -s --no-install-recommends install "$@" 2>&1); then
        packages_fail "apt-get cannot install $*: $(tail -n 1 <<<"$plan")"
        return 1
    fi
    if grep -q '^Remv ' <<<"$plan"; then
        packages_fail "apt-get would remove $(sed -n 's/^Remv \([^ ]*\).*/\1/p' \
            <<<"$plan" | paste -s -d ' '); install $* yourself"
        return 1
    fi
}

packages_apt() (
    trap packages_policy_restore EXIT
    trap 'exit 1' HUP INT TERM
    packages_policy_forbid
    export DEBIAN_FRONTEND=noninteractive
    if [[ " $* " == *' postfix '* ]]; then
        echo 'postfix postfix/main_mailer_type select No configuration' |
            debconf-set-selections
    fi
    apt-get -q -y --no-install-recommends install "$@"
)

packages_install() {
    local name missing=()
    for name in "$@"; do
        if packages_is_missing "$name"; then
            missing+=("$name")
        fi
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        packages_fail "these packages are missing: ${missing[*]}"
        return 1
    fi
    echo "installing ${missing[*]}"
    apt-get -q update
    packages_check "${missing[@]}"
    packages_apt "${missing[@]}"
}
