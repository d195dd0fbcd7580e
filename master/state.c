/* The state file: see state.h. */
#include "master/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 2048
#define ALL_SOURCES 0xffffu
#define LAST "is whole"		/* what has no such line is a piece */

static const char *const phases[] = { [STATE_APPLYING] = "applying", [STATE_IN] = "in", [STATE_RELEASED] = "released" };

/* Keys whose value is a number. */
static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "pid", offsetof(struct state, pid) },
	{ "generation", offsetof(struct state, generation) },
	{ "since", offsetof(struct state, since) },
	{ "netns", offsetof(struct state, netns) },
	{ "token", offsetof(struct state, token) },
	{ "unconfirmed-until", offsetof(struct state, until) },
	{ "digest-ipv4", offsetof(struct state, digest[0]) },
	{ "digest-ipv6", offsetof(struct state, digest[1]) },
};
#define NNUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* The same, of 32 bits: those of struct policy. */
static const struct {
	const char *key;
	size_t offset;
} parts[] = {
	{ "mark", offsetof(struct state, policy.mark) },
	{ "table", offsetof(struct state, policy.table) },
	{ "routing", offsetof(struct state, policy.routing) },
	{ "addresses", offsetof(struct state, policy.addresses) },
	{ "stale-mark", offsetof(struct state, stale.mark) },
	{ "stale-table", offsetof(struct state, stale.table) },
	{ "stale-routing", offsetof(struct state, stale.routing) },
	{ "stale-addresses", offsetof(struct state, stale.addresses) },
};
#define NPARTS (sizeof(parts) / sizeof(parts[0]))

static uint64_t *number_of(const struct state *s, size_t which)
{
	return (uint64_t *)(uintptr_t)((const char *)s + numbers[which].offset);
}

static uint32_t *part_of(const struct state *s, size_t which)
{
	return (uint32_t *)(uintptr_t)((const char *)s + parts[which].offset);
}

/* A boot has its own; "": not to be had. */
static const char *boot_id(char to[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, to, 63) : 0;

	if (fd != -1)
		close(fd);
	to[n > 0 ? n : 0] = '\0';
	to[strcspn(to, "\n")] = '\0';
	return to;
}

static uint64_t network(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? st.st_ino : 0;
}

void state_begin(struct state *s)
{
	*s = (struct state){ .phase = STATE_APPLYING, .pid = (uint64_t)getpid(), .netns = network() };
	s->since = (uint64_t)time(NULL);
	snprintf(s->version, sizeof(s->version), "%s", MESHD_VERSION);
	for (int f = 0; f < FAMILIES; f++)
		s->variant[f] = VARIANTS;
}

bool state_is_elsewhere(const struct state *s)
{
	return s->phase != STATE_NONE && s->netns != network();
}

/* ---- writing ---- */

static void print(FILE *f, const struct state *s)
{
	char boot[64];

	fprintf(f, "phase %s\nversion %s\nboot %s\n", phases[s->phase], s->version, boot_id(boot));
	for (size_t i = 0; i < NNUMBERS; i++)
		fprintf(f, "%s %" PRIu64 "\n", numbers[i].key, *number_of(s, i));
	for (int k = 0; k < FAMILIES; k++) {
		if (s->variant[k] != VARIANTS)
			fprintf(f, "variant-%s %s\n", iptables_family(k), iptables_variant(s->variant[k]));
	}
	for (size_t i = 0; i < NPARTS; i++)
		fprintf(f, "%s %" PRIu32 "\n", parts[i].key, *part_of(s, i));
	fprintf(f, LAST "\n");
}

static int save(int fd, const struct state *s)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int r = -1;

	if (f == NULL)
		return -1;
	print(f, s);
	if (fclose(f) == 0 && write(fd, text, size) == (ssize_t)size)
		r = 0;
	free(text);
	return r;
}

int state_write(const char *dir, const struct state *s, struct err *e)
{
	char path[PATH_MAX], new[PATH_MAX + 8];
	int fd, r;

	if (snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE) >= (int)sizeof(path))
		return err_set(e, "runtime_dir: %s is too long", dir);
	snprintf(new, sizeof(new), "%s.new", path);
	unlink(new);
	if ((fd = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)) == -1)
		return err_set(e, "%s: %m", new);
	r = save(fd, s);
	close(fd);
	if (r == -1 || rename(new, path) == -1) {
		err_set(e, "%s: %m", path);
		unlink(new);
		return -1;
	}
	return 0;
}

void state_remove(const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
	unlink(path);
}

/* ---- reading ---- */

static void take_word(struct state *s, const char *key, const char *value, bool *same_boot)
{
	char boot[64];

	if (strcmp(key, "version") == 0)
		snprintf(s->version, sizeof(s->version), "%s", value);
	else if (strcmp(key, "boot") == 0)
		*same_boot = strcmp(value, boot_id(boot)) == 0;
	for (enum state_phase p = STATE_APPLYING; p <= STATE_RELEASED; p++) {
		if (strcmp(key, "phase") == 0 && strcmp(value, phases[p]) == 0)
			s->phase = p;
	}
	for (size_t i = 0; i < NNUMBERS; i++) {
		if (strcmp(key, numbers[i].key) == 0)
			*number_of(s, i) = strtoull(value, NULL, 10);
	}
	for (size_t i = 0; i < NPARTS; i++) {
		if (strcmp(key, parts[i].key) == 0)
			*part_of(s, i) = (uint32_t)strtoul(value, NULL, 10);
	}
	for (int f = 0; f < FAMILIES; f++) {
		if (strncmp(key, "variant-", 8) == 0 && strcmp(key + 8, iptables_family(f)) == 0)
			s->variant[f] = iptables_find_variant(value);
	}
}

static void parse(struct state *s, char *text)
{
	bool same_boot = false, whole = false;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL) {
		char *value = strchr(line, ' ');

		whole |= strcmp(line, LAST) == 0;
		if (value == NULL)
			continue;
		*value++ = '\0';
		take_word(s, line, value, &same_boot);
	}
	s->policy.addresses &= ALL_SOURCES;
	s->stale.addresses &= ALL_SOURCES;
	if (!same_boot || !whole)
		s->phase = STATE_NONE;
}

/* A file that nobody else could have written. */
static bool is_trusted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

void state_read(const char *dir, struct state *s)
{
	char path[PATH_MAX], text[TEXT_MAX];
	ssize_t n;
	int fd;

	state_begin(s);
	s->phase = STATE_NONE;
	snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) == -1)
		return;
	n = is_trusted(fd) ? read(fd, text, sizeof(text) - 1) : 0;
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	parse(s, text);
	if (s->phase == STATE_NONE)
		state_begin(s), s->phase = STATE_NONE;
}
