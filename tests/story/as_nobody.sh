#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# as_nobody.sh LIBEXEC STORY... - run stories as an ordinary user.
#
# Root's sandboxes and an ordinary user's are made in different ways (who the
# guest is, how folders are shown, which groups it leaves).  Whoever runs the
# tests as root sees the other way here; anybody else saw it already.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    echo 'not root: the stories ran as an ordinary user already'
    exit 77
fi
libexec=$1
shift

# Where nobody can read it, whoever owns the build folder.
folder=$(mktemp -d /tmp/glovebox-nobody-XXXXXX)
trap 'rm -rf "$folder"' EXIT
cp "$libexec"/glovebox-init "$libexec"/glovebox-python \
    "$libexec"/glovebox-js "$libexec"/glovebox-js.gbx "$@" "$folder"
chmod -R a+rX "$folder"
mkdir "$folder/home"
chown 65534:65534 "$folder/home"

for story in "$@"; do
    for clones in '' GLOVEBOX_TEST_CLONES=1; do
        # shellcheck disable=SC2086
        env -u XDG_DATA_HOME HOME="$folder/home" \
            GLOVEBOX_LIBEXEC="$folder" $clones \
            setpriv --reuid=65534 --regid=65534 --clear-groups \
            "$folder/$(basename "$story")"
    done
done
