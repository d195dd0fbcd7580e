#!/bin/sh
# meshctl(1) names each statistic of common/stats.h in its very words, and no other; mandoc finds nothing to say.
cd "${srcdir:-.}" || exit 1
bad=0
listed=$(sed -n 's/^[[:space:]]*X([a-z0-9_]*, "\([^"]*\)", "\([^"]*\)").*/\1: \2/p' common/stats.h | sort)
shown=$(awk '/^\.Sh /{ in_list = /STATISTICS/ } in_list && /^\.It Li / { name = $3; getline; print name ": " $0 }' man/meshctl.1 | sort)
[ -n "$listed" ] && [ "$listed" = "$shown" ] || {
	echo "man/meshctl.1 and common/stats.h do not agree:"
	{ printf '%s\n' "$listed"; printf '%s\n' "$shown"; } | sort | uniq -u
	bad=1
}
command -v mandoc >/dev/null || { echo "mandoc is not installed"; exit 1; }
for page in man/*.[158]; do
	found=$(mandoc -T lint "$page" 2>/dev/null | grep -v 'referenced manual not found')
	[ -z "$found" ] || { printf '%s\n' "$found"; bad=1; }
done
exit $bad
