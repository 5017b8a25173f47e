#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# place.sh LIBEXEC STAMP FILE... - put the benchmark, and what it runs, beside
# the guest programs of a build tree.
set -e
libexec=$1 stamp=$2
shift 2
bench=$libexec/bench
mkdir -p "$bench/scripts" "$bench/baseline" "$bench/programs"
for file; do
    case $file in
    */scripts/* | */native | *.wasm) to=$bench/scripts ;;
    */baseline/*) to=$bench/baseline ;;
    */glovebox-bench) to=$libexec ;;
    *) to=$bench/programs ;;
    esac
    to=$to/${file##*/} # never into a running program
    cp "$file" "$to.new"
    mv "$to.new" "$to"
done
: >"$stamp"
