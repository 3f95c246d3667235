#!/bin/sh
# Lists the programs the tests need and installs the Debian packages of those that are missing (as root on Debian).
# Elsewhere it names what is missing and fails. Daemons are never started by their packages: the tests start their own.
set -eu
missing=
need() { # program, package
    if found=$(PATH=$PATH:/usr/sbin:/sbin command -v "$1" 2>/dev/null); then
        printf '  %-14s %s\n' "$1" "$found"
    else
        printf '  %-14s missing (Debian package %s)\n' "$1" "$2"
        missing="$missing $2"
    fi
}
echo "programs the tests need:"
need clamd clamav-daemon
need nsd nsd
need unbound unbound
need swaks swaks
need msmtp msmtp
need mbsync isync
need curl curl
need postfix postfix
need smtp-source postfix
need dovecot dovecot-imapd
need /usr/lib/dovecot/lmtp dovecot-lmtpd
need /usr/lib/dovecot/pop3 dovecot-pop3d
need sieve-test dovecot-sieve
need mutt mutt
need neomutt neomutt
need alpine alpine
need fetchmail fetchmail
need offlineimap offlineimap3
need getmail getmail6
need mpop mpop
need sieve-connect sieve-connect
need thunderbird thunderbird
need firefox-esr firefox-esr
need php php-cli
need php-cgi php-cgi  # without it Roundcube would bring Apache
if [ -d /usr/share/roundcube/plugins/managesieve ]; then
    printf '  %-14s %s\n' Roundcube /usr/share/roundcube
else
    printf '  %-14s missing (Debian packages %s)\n' Roundcube 'roundcube-core, roundcube-sqlite3, roundcube-plugins'
    missing="$missing roundcube-core roundcube-sqlite3 roundcube-plugins"
fi
need opendkim opendkim
need postsrsd postsrsd
need haproxy haproxy
need openssl openssl
need npm npm
need gcc gcc
[ -e /usr/include/stdio.h ] || { printf '  %-14s missing (Debian package %s)\n' 'C headers' libc6-dev; missing="$missing libc6-dev"; }
need setpriv util-linux
need systemd-analyze systemd
need fail2ban-regex fail2ban
[ "$(id -u)" != 0 ] || need debootstrap debootstrap
if perl -MNet::SSLeay -e 1 2>/dev/null; then
    printf '  %-14s %s\n' "swaks's TLS" "Net::SSLeay"
else
    printf '  %-14s missing (Debian package libnet-ssleay-perl)\n' "swaks's TLS"
    missing="$missing libnet-ssleay-perl"
fi
if ls /usr/lib/*/sasl2/libplain.so >/dev/null 2>&1; then
    printf '  %-14s %s\n' "Postfix's SASL" "PLAIN"
else
    printf '  %-14s missing (Debian package libsasl2-modules)\n' "Postfix's SASL"
    missing="$missing libsasl2-modules"
fi
# Exim and OpenSMTPD conflict with Postfix, so they are unpacked below .cache; the libraries they need are installed.
unpacked=$(cd "$(dirname "$0")/../.." && pwd -P)/.cache/unpacked
library() { # library, package
    if ! PATH=$PATH:/usr/sbin:/sbin ldconfig -p | grep -q "$1"; then
        printf '  %-14s missing (Debian package %s)\n' "$1" "$2"
        missing="$missing $2"
    fi
}
library libgnutls-dane.so libgnutls-dane0
library libidn.so libidn12
library libnsl.so.2 libnsl2
library libdb-5.3.so libdb5.3
library libevent-2.1.so.7 libevent-2.1-7
unpack() { # package
    if [ -d "$unpacked/$1" ]; then
        printf '  %-14s unpacked\n' "$1"
        return
    fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
        echo "make test: unpack the Debian package $1 into $unpacked/$1 first (or run on Debian)" >&2
        exit 1
    fi
    echo "unpacking: $1"
    draft=$(mktemp -d)
    if ! (cd "$draft" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; } >log 2>&1 && dpkg -x "$1"_*.deb files); then
        cat "$draft/log" >&2
        echo "make test: apt-get could not download $1" >&2
        exit 1
    fi
    mkdir -p "$unpacked"
    chmod 755 "$draft" "$draft/files"
    mv "$draft/files" "$unpacked/$1"
    rm -rf "$draft"
}
unpack exim4-daemon-light
unpack opensmtpd
# Haraka comes by npm; the date settles the versions of what it needs, which run on the Node.js of Debian 12 (18).
haraka=3.1.1
haraka_before=2026-03-01
install_haraka() {
    place=$(dirname "$unpacked")/haraka
    if [ "$(cat "$place/version" 2>/dev/null)" = "$haraka $haraka_before" ]; then
        printf '  %-14s %s\n' Haraka "$haraka"
        return
    fi
    echo "installing: Haraka $haraka (npm)"
    draft=$(mktemp -d)
    if ! npm install --prefix "$draft" --before="$haraka_before" --omit=optional --ignore-scripts --no-package-lock --no-audit --no-fund \
        "Haraka@$haraka" >"$draft/log" 2>&1; then
        tail -20 "$draft/log" >&2
        echo "make test: npm could not install Haraka $haraka; is its registry reachable (npm ping)?" >&2
        exit 1
    fi
    rm -f "$draft/log"
    echo "$haraka $haraka_before" >"$draft/version"
    mkdir -p "$(dirname "$place")"
    rm -rf "$place"
    chmod 755 "$draft"
    mv "$draft" "$place"
}
if [ -z "$missing" ]; then
    install_haraka
    exit 0
fi
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "make test: install these Debian packages first (or run as root on Debian): $missing" >&2
    exit 1
fi
echo "installing: $missing"
blocker=/usr/sbin/policy-rc.d
if [ ! -e "$blocker" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$blocker"
    chmod 755 "$blocker"
    trap 'rm -f "$blocker"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
log=$(mktemp)
if ! apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "make test: apt-get could not install: $missing" >&2
    exit 1
fi
rm -f "$log"
install_haraka
