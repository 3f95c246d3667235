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
need mutt mutt
need fetchmail fetchmail
need mpop mpop
need thunderbird thunderbird
need opendkim opendkim
need haproxy haproxy
need setpriv util-linux
[ "$(id -u)" != 0 ] || need debootstrap debootstrap
if perl -MNet::SSLeay -e 1 2>/dev/null; then
    printf '  %-14s %s\n' "swaks's TLS" "Net::SSLeay"
else
    printf '  %-14s missing (Debian package libnet-ssleay-perl)\n' "swaks's TLS"
    missing="$missing libnet-ssleay-perl"
fi
# Exim conflicts with Postfix, so it is unpacked below .cache; the libraries it needs are installed.
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
[ -n "$missing" ] || exit 0
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
