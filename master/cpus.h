/* How many workers are worth it: the cores that this process may use. */
#pragma once

/* Affinity and the cgroup's quota (v2, this group and those above it), rounded up; 1 to `most`. */
unsigned cpus_usable(unsigned most);

/* What "cpu.max" says: "max 100000" is 0 (no limit), "150000 100000" is 2.  Not understood: 0. */
unsigned cpus_parse_max(const char *text);

/* The path in "0::/a/b\n" among the lines of /proc/self/cgroup.  -1: no line of version 2, or longer than size. */
int cpus_parse_group(const char *text, char *path_r, unsigned size);
