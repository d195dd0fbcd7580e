#!/bin/sh
# Builds the fuzz targets with clang's libFuzzer and runs each for FUZZ_SECONDS (60); FUZZ_TARGETS chooses.  New inputs stay
# in fuzz-corpus of the build folder; one that fails is named crash-*: put it into the target's t/fuzz/corpus with the fix.
set -e
srcdir=${srcdir:-.}
command -v clang >/dev/null || { echo "make fuzz needs clang (Debian: clang)"; exit 1; }

# target, limit of an input's bytes, more corpora; the rest: sources and libraries
run() {
	target=$1 most=$2 more=$3
	shift 3
	case " ${FUZZ_TARGETS:-conf http1_request http1_response http1_chunked} " in *" $target "*) ;; *) return 0 ;; esac
	# shellcheck disable=SC2086
	clang -std=gnu11 -g -O1 -D_GNU_SOURCE -DMESHD_SANITIZERS -DMESHD_VERSION='"fuzz"' -DMESHD_LIBEXECDIR='"/nowhere"' -I"$srcdir" \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o "fuzz-$target" "$srcdir/t/fuzz/$target.c" "$@"
	mkdir -p "fuzz-corpus/$target"
	# shellcheck disable=SC2086
	"./fuzz-$target" -max_total_time="${FUZZ_SECONDS:-60}" -max_len="$most" -timeout=10 -dict="$srcdir/t/fuzz/${target%%_*}.dict" \
		"fuzz-corpus/$target" "$srcdir/t/fuzz/corpus/$target" $more
}

conf=
for file in "$srcdir"/conf/*.c "$srcdir"/common/*.c; do
	case $file in */conf/main.c | */conf/confine.c | */common/cage.c) ;; *) conf="$conf $file" ;; esac
done
# shellcheck disable=SC2046,SC2086
run conf 4096 "$srcdir/conf/samples" $conf $(pkg-config --cflags --libs libconfig libcrypto)
http1="$srcdir/t/fuzz/http1.c $srcdir/t/unit/worker/http1_feed.c $srcdir/worker/http.c $(echo "$srcdir"/worker/http1*.c) $LLHTTP"
for target in http1_request http1_response http1_chunked; do
	# shellcheck disable=SC2086
	run $target 2048 "" $http1
done
