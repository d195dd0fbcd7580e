#!/bin/sh
# The master is root: it links libc and libsystemd, and nothing else (a sanitizer's own libraries aside).
bad=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
	grep -Ev '^(libc|libsystemd|libasan|libubsan|ld-linux.*)\.so')
[ -z "$bad" ] || { echo "$1 links $bad"; exit 1; }
