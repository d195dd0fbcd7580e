#!/bin/sh
# Who may include whom: a room includes common/ and itself; common/ only itself; every path is written from the root.
cd "${srcdir:-.}" || exit 1
bad=0
for room in common conf master worker agent ctl; do
	[ -d "$room" ] || continue
	found=$(grep -rn '^#include "' "$room" --include='*.[ch]' | grep -v "#include \"\($room\|common\)/")
	[ -z "$found" ] || { echo "$found"; bad=1; }
done
exit $bad
