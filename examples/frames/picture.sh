#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# picture.sh [FILE] - make a real camera frame: 1920 x 1080, RGB, binary PPM.
#
# A photograph from a Debian package (tools/setup demo brings it), cut and
# unpacked here.  FILE is build/demo/frame.ppm where none is named.  A frame
# that is there already is kept.
set -eu
cd "$(dirname "$0")/../.."

photo=/usr/share/sddm/themes/maldives/background.jpg
frame=${1:-build/demo/frame.ppm}

if [ -s "$frame" ]; then
    exit 0
fi
for needed in jpegtran djpeg; do
    if ! command -v "$needed" >/dev/null 2>&1; then
        echo "picture.sh: no $needed here: tools/setup demo" >&2
        exit 1
    fi
done
if [ ! -r "$photo" ]; then
    echo "picture.sh: no photograph $photo: tools/setup demo" >&2
    exit 1
fi

mkdir -p "$(dirname "$frame")"
trap 'rm -f "$frame.jpg" "$frame.new"' EXIT
# Corners on a line of 16 pixels: a JPEG can be cut there without loss.
jpegtran -crop 1920x1080+336+512 -outfile "$frame.jpg" "$photo"
djpeg -ppm -outfile "$frame.new" "$frame.jpg"
mv "$frame.new" "$frame"
