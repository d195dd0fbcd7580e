#!/bin/sh
# The fuzz target takes every file of its corpus, and the samples.  Run in the build folder; silent if all is well.
srcdir=${srcdir:-.}
out=$(./replay-conf "$srcdir"/t/fuzz/corpus/* "$srcdir"/conf/samples/*.conf 2>&1) || { printf '%s\n' "$out"; exit 1; }
