/* Rules as text: see rules.h.  The order is Istio's (its OUTPUT chain, rule by rule). */
#include "master/rules.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const chains[] = { "MESHD_INBOUND", "MESHD_OUTPUT", "MESHD_REDIRECT", "MESHD_IN_REDIRECT" };
#define NCHAINS (sizeof(chains) / sizeof(chains[0]))

/* As iptables-save prints them after "-A ". */
static const char *const jumps[] = { "PREROUTING -p tcp -j MESHD_INBOUND", "OUTPUT -p tcp -j MESHD_OUTPUT" };
#define NJUMPS (sizeof(jumps) / sizeof(jumps[0]))

/* ---- what is there ---- */

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line != NULL ? line + 1 : NULL;
}

static bool is_jump(const char *line, const char *jump)
{
	size_t n = strlen(jump);

	line += strncmp(line, "-A ", 3) == 0 ? 3 : 0;
	return strncmp(line, jump, n) == 0 && line[n + strspn(line + n, " ")] == '\n';
}

static unsigned count_jumps(const char *saved, const char *jump)
{
	unsigned n = 0;

	for (const char *line = saved; line != NULL && *line != '\0'; line = next_line(line))
		n += line[0] == '-' && is_jump(line, jump);
	return n;
}

static bool has_chain(const char *saved, const char *chain)
{
	size_t n = strlen(chain);

	for (const char *line = saved; line != NULL && *line != '\0'; line = next_line(line)) {
		if (line[0] == ':' && strncmp(line + 1, chain, n) == 0 && line[1 + n] == ' ')
			return true;
	}
	return false;
}

/* ---- applying ---- */

static void print_excluded(FILE *f, const char *chain, const struct image_port_range *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (r[i].first == r[i].last)
			fprintf(f, "-A %s -p tcp --dport %u -j RETURN\n", chain, r[i].first);
		else
			fprintf(f, "-A %s -p tcp --dport %u:%u -j RETURN\n", chain, r[i].first, r[i].last);
	}
}

static void print_output(FILE *f, const struct rules *r, const char *loopback, const char *app_source)
{
	const unsigned worker = r->worker_uid, agent = r->agent_uid;

	print_excluded(f, "MESHD_OUTPUT", r->exclude_outbound, r->exclude_outbound_count);
	/* from the inbound side to the application beside it: never again */
	fprintf(f, "-A MESHD_OUTPUT -s %s -o lo -j RETURN\n", app_source);
	/* the agent before the rules of the worker, whose second one would send it on over lo */
	if (agent != worker)
		fprintf(f, "-A MESHD_OUTPUT -m owner --uid-owner %u -j RETURN\n", agent);
	/* an application that calls its own service: the outbound side has chosen this host, the inbound side must see it */
	fprintf(f, "-A MESHD_OUTPUT ! -d %s -o lo -p tcp -m owner --uid-owner %u -j MESHD_IN_REDIRECT\n", loopback, worker);
	fprintf(f, "-A MESHD_OUTPUT -o lo -m owner ! --uid-owner %u -j RETURN\n", worker);
	fprintf(f, "-A MESHD_OUTPUT -m owner --uid-owner %u -j RETURN\n", worker);
	fprintf(f, "-A MESHD_OUTPUT -d %s -j RETURN\n", loopback);
	fprintf(f, "-A MESHD_OUTPUT -j MESHD_REDIRECT\n");
}

/* One jump each.  Where one is, it stays where it is: applying twice equals applying once. */
static void print_jumps(FILE *f, const char *saved)
{
	for (size_t i = 0; i < NJUMPS; i++) {
		unsigned n = count_jumps(saved, jumps[i]);

		if (n == 0)
			fprintf(f, "-A %s\n", jumps[i]);
		for (; n > 1; n--)
			fprintf(f, "-D %s\n", jumps[i]);
	}
}

char *rules_apply_text(const struct rules *r, int family, const char *saved)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fprintf(f, "*nat\n");
	for (size_t i = 0; i < NCHAINS; i++)
		fprintf(f, ":%s - [0:0]\n", chains[i]);		/* makes it, or empties it */
	fprintf(f, "-A MESHD_REDIRECT -p tcp -j REDIRECT --to-ports %u\n", r->outbound_port);
	fprintf(f, "-A MESHD_IN_REDIRECT -p tcp -j REDIRECT --to-ports %u\n", r->inbound_port);
	print_excluded(f, "MESHD_INBOUND", r->exclude_inbound, r->exclude_inbound_count);
	fprintf(f, "-A MESHD_INBOUND -j MESHD_IN_REDIRECT\n");
	/* IPv6 has no second loopback address; ::1 as the source marks it as well, because an application that goes to
	 * another address of this host gets that address as its source. */
	if (family == AF_INET)
		print_output(f, r, "127.0.0.1/32", "127.0.0.6/32");
	else
		print_output(f, r, "::1/128", "::1/128");
	print_jumps(f, saved);
	fprintf(f, "COMMIT\n");
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- clearing ---- */

static bool any_jump(const char *saved)
{
	bool there = false;

	for (size_t i = 0; i < NJUMPS; i++)
		there |= count_jumps(saved, jumps[i]) > 0;
	return there;
}

static bool any_chain(const char *saved)
{
	bool there = false;

	for (size_t i = 0; i < NCHAINS; i++)
		there |= has_chain(saved, chains[i]);
	return there;
}

/* All chains are emptied before one goes: they jump to each other. */
static void print_removal(FILE *f, const char *saved, bool chains_too)
{
	fprintf(f, "*nat\n");
	for (size_t i = 0; i < NJUMPS; i++) {
		for (unsigned n = count_jumps(saved, jumps[i]); n > 0; n--)
			fprintf(f, "-D %s\n", jumps[i]);
	}
	for (size_t i = 0; chains_too && i < NCHAINS; i++) {
		if (has_chain(saved, chains[i]))
			fprintf(f, "-F %s\n", chains[i]);
	}
	for (size_t i = 0; chains_too && i < NCHAINS; i++) {
		if (has_chain(saved, chains[i]))
			fprintf(f, "-X %s\n", chains[i]);
	}
	fprintf(f, "COMMIT\n");
}

static int removal_text(const char *saved, bool chains_too, char **text_r)
{
	size_t size;
	FILE *f;

	*text_r = NULL;
	if (!any_jump(saved) && !(chains_too && any_chain(saved)))
		return 0;
	if ((f = open_memstream(text_r, &size)) == NULL)
		return -1;
	print_removal(f, saved, chains_too);
	if (fclose(f) == 0)
		return 0;
	free(*text_r);
	*text_r = NULL;
	return -1;
}

int rules_release_text(const char *saved, char **text_r)
{
	return removal_text(saved, false, text_r);
}

int rules_clear_text(const char *saved, char **text_r)
{
	return removal_text(saved, true, text_r);
}
