#!/bin/sh
# Unpacks Debian's Exim into the folder given, without installing it: the package would remove Postfix.
# Run as root (for Exim's user, which is compiled in) on Debian or Ubuntu. Exim is then in DIR/usr/sbin/exim4.
set -eu
folder=$(realpath -m "${1:?usage: unpack_exim.sh DIR}")
mkdir -p "$folder/download"
cd "$folder/download"
apt-get download exim4-daemon-light exim4-base libidn12
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
getent passwd Debian-exim >/dev/null || useradd --system --no-create-home Debian-exim
