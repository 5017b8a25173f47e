#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# place.sh LIBEXEC STAMP PROGRAM SCRIPT... - put the benchmark beside the guest
# programs of a build tree.
set -e
libexec=$1 stamp=$2
shift 2
mkdir -p "$libexec/bench/scripts" "$libexec/bench/baseline"
for file; do
    case $file in
    */scripts/*) cp "$file" "$libexec/bench/scripts/" ;;
    */baseline/*) cp "$file" "$libexec/bench/baseline/" ;;
    *)  # never into a running program
        cp "$file" "$libexec/glovebox-bench.new"
        mv "$libexec/glovebox-bench.new" "$libexec/glovebox-bench" ;;
    esac
done
: >"$stamp"
