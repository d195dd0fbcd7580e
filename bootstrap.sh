#!/usr/bin/env bash
# Everything on a fresh Debian machine: packages, users, build, tests.
#   ./bootstrap.sh build    packages, users, then build/
#   ./bootstrap.sh check    every test, plain and under ASan+UBSan; the last line is "N passed, N failed"
#   ./bootstrap.sh demo     two hosts with their sidecars, on this machine
#   ./bootstrap.sh bench    against HAProxy and nginx; BENCH_ROUNDS, BENCH_SECONDS, BENCH_CASES: t/bench/bench
set -euo pipefail
cd "$(dirname "$0")"

to_build=(autoconf automake make gcc pkg-config libc6-dev liburing-dev libseccomp-dev libconfig-dev libssl-dev
	libcriterion-dev libmicrohttpd-dev libjansson-dev libpcre2-dev libcurl4-openssl-dev libsystemd-dev node-llhttp mandoc iptables)
to_test=(python3 python3-pytest gdb iproute2 procps util-linux systemd redis-server redis-tools postgresql nginx-light curl
	python3-h11 haproxy nodejs gunicorn lighttpd apache2-bin python3-websockets)
to_bench=(haproxy nginx-light libnginx-mod-stream python3 iproute2)

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# The servers among the packages are for tests that start their own: policy-rc.d keeps Debian from starting them.
install_packages() {
	local missing=() p policy=/usr/sbin/policy-rc.d ours=0 status=0
	for p in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} != 0 ] || return 0
	echo "installing ${missing[*]}"
	as_root apt-get update -qq
	if [ ! -e $policy ]; then
		ours=1
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
	[ $ours = 0 ] || as_root rm -f $policy
	return $status
}

make_users() {
	local user
	for user in meshd meshd-agent; do
		getent passwd $user >/dev/null || as_root useradd --system --no-create-home --shell /usr/sbin/nologin $user
	done
	getent group meshd-admin >/dev/null || as_root groupadd --system meshd-admin
}

build_in() {	# folder, configure options
	local dir=$1; shift
	[ -x configure ] && [ Makefile.in -nt configure.ac ] && [ Makefile.in -nt Makefile.am ] || autoreconf -fi
	mkdir -p "$dir"
	[ -f "$dir/Makefile" ] || (cd "$dir" && ../configure --enable-werror "$@" >/dev/null)
	make -C "$dir" -j"$(nproc)" --no-print-directory -s
}

passed=0 failed=0
check_in() {	# folder, target
	local line status=0 log=$1/$2.log run=(env)
	echo "== $2 in $1"
	[ "$2" = check ] || run=(as_root env "MESHD_LONG=${MESHD_LONG:-}")
	"${run[@]}" make -C "$1" -s --no-print-directory "$2" 2>&1 | tee "$log" || status=$?
	line=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -n 1)
	[ -n "$line" ] || line="0 0"
	passed=$((passed + ${line% *})); failed=$((failed + ${line#* }))
	[ $status = 0 ] || [ "${line#* }" != 0 ] || failed=$((failed + 1))
	[ "${line% *}" != 0 ] || failed=$((failed + 1))		# nothing ran: that is no success
}

case ${1:-} in
build)	install_packages "${to_build[@]}"; make_users; build_in build ;;
check)	install_packages "${to_build[@]}" "${to_test[@]}"; make_users
	build_in build; build_in build-san --enable-sanitizers
	for dir in build build-san; do
		check_in $dir check
		check_in $dir check-flow
	done
	echo "$passed passed, $failed failed"
	[ $failed = 0 ] && [ $passed -gt 0 ] ;;
demo)	install_packages "${to_build[@]}" "${to_test[@]}"; make_users; build_in build
	as_root bash t/demo build ;;
bench)	install_packages "${to_build[@]}" "${to_bench[@]}"; make_users; build_in build
	options=()	# as arguments of make: sudo keeps no environment
	for name in BENCH_ROUNDS BENCH_SECONDS BENCH_WORKERS BENCH_CASES BENCH_RULES BENCH_SEED HAPROXY NGINX; do
		[ -z "${!name:-}" ] || options+=("$name=${!name}")
	done
	as_root make -C build -s --no-print-directory bench "${options[@]}" ;;
*)	echo "usage: $0 build|check|demo|bench" >&2; exit 2 ;;
esac
