#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh - the main job on real input: a photograph of 1920 x 1080 goes to a
# sealed Python script, which looks at it where it lies and answers with a
# histogram and a half-size picture.
set -eu
cd "$(dirname "$0")/../.."
out=build/demo
mkdir -p "$out"

examples/frames/picture.sh

echo
echo "The sealed script examples/frames/luma.py gets the frame:"
echo
set -x
build/glovebox run examples/frames/luma.py \
    --in frame=@$out/frame.ppm \
    --out half=$out/half.pgm --out histogram=$out/histogram.json \
    --timeout 20s --stats
{ set +x; } 2>/dev/null
pnmtopng "$out/half.pgm" >"$out/half.png" 2>/dev/null
pnmtopng "$out/frame.ppm" >"$out/frame.png" 2>/dev/null

echo
echo "What it saw, and what it made:"
ls -l "$out/frame.png" "$out/half.png" "$out/histogram.json"
