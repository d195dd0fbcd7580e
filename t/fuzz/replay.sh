#!/bin/sh
# Each fuzz target takes every file of its corpus, and conf's the samples.  Run in the build folder; silent if all is well.
srcdir=${srcdir:-.}
replay() {
	target=$1
	shift
	out=$("./replay-$target" "$srcdir/t/fuzz/corpus/$target"/* "$@" 2>&1) || { printf '%s\n' "$out"; exit 1; }
}
replay conf "$srcdir"/conf/samples/*.conf
replay http1_request
replay http1_response
replay http1_chunked
