#!/usr/bin/env bash
# Installs the mail servers of the tests (Debian, as root): Dovecot, Postfix and swaks. It starts none of them, and changes
# nothing about those that are installed: the tests run their own, in directories of their own, on loopback ports.
set -euo pipefail

missing=()
for package in dovecot-core dovecot-imapd dovecot-lmtpd postfix swaks; do
	[[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == "install ok installed" ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
echo "Installing ${missing[*]} ..."

# Debian starts a service that it installs unless this file says no (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod +x $policy
	trap 'rm -f "$policy"' EXIT
fi
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
