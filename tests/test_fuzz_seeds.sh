#!/bin/bash
# SPDX-License-Identifier: MIT
#
# test_fuzz_seeds.sh - each fuzz target over its seeds; a finding ends it
set -euo pipefail

srcdir=${srcdir:-$(dirname "$0")}
for target in envelope queue_file; do
    "./fuzz_$target" "$srcdir/seeds/$target"/*
done
