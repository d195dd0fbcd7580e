/* Counting cores: see cpus.h. */
#include "master/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

unsigned cpus_parse_max(const char *text)
{
	unsigned long long quota, period;

	/* "max" is no number; a minus sign would be read as a huge one */
	if (strchr(text, '-') != NULL || sscanf(text, "%llu %llu", &quota, &period) != 2 || quota == 0 || period == 0)
		return 0;
	quota = quota / period + (quota % period != 0);
	return quota > UINT_MAX ? UINT_MAX : (unsigned)quota;
}

int cpus_parse_group(const char *text, char *path_r, unsigned size)
{
	size_t len;

	while (strncmp(text, "0::/", 4) != 0) {
		text = strchr(text, '\n');
		if (text == NULL)
			return -1;
		text++;
	}
	text += 3;
	len = strcspn(text, "\n");
	if (len >= size)
		return -1;
	memcpy(path_r, text, len);
	path_r[len] = '\0';
	return 0;
}

static int read_small(const char *path, char *text_r, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return -1;
	n = read(fd, text_r, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	text_r[n] = '\0';
	return 0;
}

static unsigned affinity(void)
{
	cpu_set_t *set;
	size_t size;
	int n = 0;

	/* A machine with more cores than a cpu_set_t has bits refuses the short one. */
	for (unsigned bits = 1024; bits <= 1024 * 64 && n == 0; bits *= 4) {
		set = CPU_ALLOC(bits);
		size = CPU_ALLOC_SIZE(bits);
		if (set == NULL)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			n = CPU_COUNT_S(size, set);
		CPU_FREE(set);
	}
	return n > 0 ? (unsigned)n : 1;
}

/* The smallest quota of this group and all above it; 0: none. */
static unsigned quota(void)
{
	char text[4096], group[2048], path[4096], *slash;
	unsigned least = 0;

	if (read_small("/proc/self/cgroup", text, sizeof(text)) == -1 || cpus_parse_group(text, group, sizeof(group)) == -1)
		return 0;
	do {
		unsigned n;

		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
		if (read_small(path, text, sizeof(text)) == 0 && (n = cpus_parse_max(text)) != 0 && (least == 0 || n < least))
			least = n;
		slash = strrchr(group, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
	return least;
}

unsigned cpus_usable(unsigned most)
{
	unsigned n = affinity(), limit = quota();

	if (limit != 0 && limit < n)
		n = limit;
	return n < most ? n : most;
}
