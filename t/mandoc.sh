#!/bin/sh
# The manual pages have nothing that mandoc warns of.
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 77; }
cd "${srcdir:-.}/man" || exit 1
set -- *.[1-8]
[ -e "$1" ] || { echo "no manual pages"; exit 1; }
mandoc -T lint -W warning "$@"
