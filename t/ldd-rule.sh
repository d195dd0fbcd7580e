#!/bin/sh
# The master is root: it links libc and libsystemd, and nothing else (a sanitizer's own libraries aside).
meshd=${1:-./meshd}
bad=$(readelf -d "$meshd" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
	grep -Ev '^(libc|libsystemd|libasan|libubsan|ld-linux.*)\.so')
[ -z "$bad" ] || { echo "$meshd links $bad"; exit 1; }
