#!/bin/sh
# Builds the fuzz target with clang's libFuzzer and runs it for FUZZ_SECONDS (60).  New inputs stay in fuzz-corpus of the
# build folder; one that fails is named crash-*: put it into t/fuzz/corpus with the fix.
set -e
srcdir=${srcdir:-.}
command -v clang >/dev/null || { echo "make fuzz needs clang (Debian: clang)"; exit 1; }
set -- "$srcdir"/t/fuzz/conf.c
for file in "$srcdir"/conf/*.c "$srcdir"/common/*.c; do
	case $file in */conf/main.c | */conf/confine.c) ;; *) set -- "$@" "$file" ;; esac
done
# shellcheck disable=SC2046
clang -std=gnu11 -g -O1 -D_GNU_SOURCE -DMESHD_SANITIZERS -DMESHD_VERSION='"fuzz"' -DMESHD_LIBEXECDIR='"/nowhere"' -I"$srcdir" \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o fuzz-conf "$@" $(pkg-config --cflags --libs libconfig libcrypto libseccomp)
mkdir -p fuzz-corpus
exec ./fuzz-conf -max_total_time="${FUZZ_SECONDS:-60}" -max_len=4096 -timeout=10 -dict="$srcdir"/t/fuzz/conf.dict \
	fuzz-corpus "$srcdir"/t/fuzz/corpus "$srcdir"/conf/samples
