#!/bin/sh
# Unpacks the test rings of Sequoia's web of trust into the folder given: their licence (LGPL) is not ours, and
# installing their package would bring two hundred others. They are then below DIR/usr/share/cargo/registry.
set -eu
folder=$(realpath -m "${1:?usage: unpack_sequoia_wot.sh DIR}")
mkdir -p "$folder/download"
cd "$folder/download"
apt-get download librust-sequoia-wot-dev
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
