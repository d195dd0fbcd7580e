#!/usr/bin/env bash
# Everything on a fresh Debian machine: packages, build, tests.
#   ./bootstrap.sh build    packages, then build/
#   ./bootstrap.sh check    every test, plain and under ASan+UBSan; the last line is "N passed, N failed"
#   ./bootstrap.sh bench    against HAProxy and nginx; BENCH_ROUNDS, BENCH_SECONDS, BENCH_CASES: t/bench/bench
set -euo pipefail
cd "$(dirname "$0")"

packages=(autoconf automake make gcc pkg-config libc6-dev liburing-dev libconfig-dev libssl-dev libcriterion-dev
	libmicrohttpd-dev libjansson-dev libcurl4-openssl-dev libsystemd-dev)
bench_packages=(haproxy nginx-light libnginx-mod-stream python3)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

install_packages() {
	local missing=() p
	for p in "${packages[@]}"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

build_in() {	# folder, configure options
	local dir=$1; shift
	[ -x configure ] && [ Makefile.in -nt configure.ac ] && [ Makefile.in -nt Makefile.am ] || autoreconf -fi
	mkdir -p "$dir"
	[ -f "$dir/Makefile" ] || (cd "$dir" && ../configure --enable-werror "$@" >/dev/null)
	make -C "$dir" -j"$(nproc)" --no-print-directory -s
}

passed=0 failed=0
check_in() {	# folder
	local out line status=0
	out=$(make -C "$1" -s --no-print-directory check 2>&1) || status=$?
	printf '%s\n' "$out"
	line=$(printf '%s\n' "$out" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | tail -n 1)
	[ -n "$line" ] || line="0 0"
	passed=$((passed + ${line% *})); failed=$((failed + ${line#* }))
	[ $status = 0 ] || [ "${line#* }" != 0 ] || failed=$((failed + 1))
}

case ${1:-} in
build)	install_packages; build_in build ;;
check)	install_packages; build_in build; build_in build-san --enable-sanitizers
	check_in build; check_in build-san
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed -gt 0 ] ;;
bench)	packages+=("${bench_packages[@]}")
	install_packages; build_in build
	options=()	# as arguments of make: sudo keeps no environment
	for name in BENCH_ROUNDS BENCH_SECONDS BENCH_WORKERS BENCH_CASES BENCH_SEED HAPROXY NGINX; do
		[ -z "${!name:-}" ] || options+=("$name=${!name}")
	done
	as_root make -C build -s --no-print-directory bench "${options[@]}" ;;
*)	echo "usage: $0 build|check|bench" >&2; exit 2 ;;
esac
