#!/bin/sh
# Unpacks Debian's OpenSMTPD into the folder given, without installing it: the package would remove Postfix.
# Run as root (for its users, which are compiled in) on Debian or Ubuntu. smtpd is then in DIR/usr/sbin/smtpd.
set -eu
folder=$(realpath -m "${1:?usage: unpack_opensmtpd.sh DIR}")
mkdir -p "$folder/download"
cd "$folder/download"
libraries=$(apt-cache depends opensmtpd | sed -n -E 's/.*Depends: (lib(event|db)[^ ]*)/\1/p' | sort -u)
apt-get download opensmtpd $libraries
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
for user in opensmtpd opensmtpq; do
    getent passwd $user >/dev/null || useradd --system --user-group --no-create-home $user
done
