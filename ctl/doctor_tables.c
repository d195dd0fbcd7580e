/* doctor: iptables, what an earlier meshd has left, connection tracking.  Nothing is loaded and no table is made. */
#include "ctl/doctor.h"
#include "ctl/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK_DEFAULT  1337
#define TABLE_DEFAULT 133

/* ---- what is installed ---- */

static void check_programs(struct doctor *d)
{
	static const char *const version[] = { "iptables", "--version", NULL };
	static const char *const names[] = { "iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore" };
	const struct run r = { .argv = version, .netns = -1 };
	char path[PATH_MAX], *text = NULL;
	struct err e;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (run_find(names[i], path) == 0)
			continue;
		doctor_say(d, "iptables", i < 2 ? FINDING_BAD : FINDING_WARNING, "apt-get install iptables", "%s is not installed", names[i]);
		return;
	}
	if (run_program(&r, &text, &e) == 0)
		doctor_say(d, "iptables", FINDING_OK, NULL, "%.*s", (int)strcspn(text, "\n"), text);
	else
		doctor_say(d, "iptables", FINDING_BAD, "apt-get install --reinstall iptables", "%s", e.text);
	free(text);
}

static void check_ip(struct doctor *d)
{
	char path[PATH_MAX];

	if (run_find("ip", path) == -1)
		doctor_say(d, "ip", FINDING_WARNING, "apt-get install iproute2", "ip(8) is not installed: intercept verify would need it");
	else
		doctor_say(d, "ip", FINDING_OK, NULL, "%s", path);
}

/* ---- what is in the tables ---- */

/* One of the two ways that the kernel has for rules. */
struct variant {
	const char *word;
	const char *save[2];		/* IPv4, IPv6 */
	const char *tables[2];		/* names the tables there are; NULL: asking makes none */
	unsigned rules, ours;		/* rules; lines of ours */
	bool unseen;
};

static void count_lines(struct variant *v, const char *text)
{
	for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
		size_t n = strcspn(line, "\n");
		const char *name = memmem(line, n, "MESHD_", 6);

		v->rules += strncmp(line, "-A ", 3) == 0;
		v->ours += *line != '#' && name != NULL;
	}
}

/* iptables-legacy-save makes a table by asking for it; so it is asked only where there are some. */
static bool has_tables(const struct variant *v, unsigned family)
{
	char name[64];

	return v->tables[family] == NULL || doctor_read(v->tables[family], name, sizeof(name));
}

static void look_into(struct variant *v)
{
	for (unsigned family = 0; family < 2; family++) {
		const char *const argv[] = { v->save[family], NULL };
		const struct run r = { .argv = argv, .netns = -1 };
		char *text = NULL;
		struct err e;

		if (!has_tables(v, family))
			continue;
		if (run_program(&r, &text, &e) == 0)
			count_lines(v, text);
		else
			v->unseen |= errno != ENOENT || v->tables[family] != NULL;
		free(text);
	}
}

static void say_leftovers(struct doctor *d, const struct variant *nft, const struct variant *legacy)
{
	bool wanted = d->runs && (d->settings == NULL || doctor_intercept(d) != NULL);

	if (nft->ours > 0 && legacy->ours > 0)
		doctor_say(d, "leftover rules", FINDING_BAD, "meshctl intercept clear, then meshctl intercept apply",
		    "rules of meshd (MESHD_*) are in both variants, nft and legacy");
	else if (nft->ours + legacy->ours > 0 && !wanted)
		doctor_say(d, "leftover rules", FINDING_BAD, "meshctl intercept clear", "rules of meshd (MESHD_*, %s) are in, and %s",
		    nft->ours > 0 ? nft->word : legacy->word, d->runs ? "this one intercepts nothing" : "none runs");
	else
		doctor_say(d, "leftover rules", FINDING_OK, NULL, "none");
}

static void check_tables(struct doctor *d)
{
	struct variant nft = { .word = "nft", .save = { "iptables-nft-save", "ip6tables-nft-save" } };
	struct variant legacy = { .word = "legacy", .save = { "iptables-legacy-save", "ip6tables-legacy-save" },
		.tables = { "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names" } };

	if (!d->root) {
		doctor_say(d, "variants", FINDING_UNSEEN, "run it as root", "whether nft and legacy rules are in use at once");
		doctor_say(d, "leftover rules", FINDING_UNSEEN, "run it as root", "rules of an earlier meshd");
		return;
	}
	look_into(&nft);
	look_into(&legacy);
	if (nft.unseen || legacy.unseen)
		doctor_say(d, "variants", FINDING_UNSEEN, "apt-get install iptables: both variants belong to it",
		    "the rules of %s cannot be read", nft.unseen ? nft.word : legacy.word);
	else if (nft.rules > 0 && legacy.rules > 0)
		doctor_say(d, "variants", FINDING_WARNING, "keep one of them (update-alternatives --config iptables) and move the rules there",
		    "both are in use: %u rules of nft, %u of legacy: either can undo what the other does", nft.rules, legacy.rules);
	else
		doctor_say(d, "variants", FINDING_OK, NULL, "%u rules of nft, %u of legacy", nft.rules, legacy.rules);
	say_leftovers(d, &nft, &legacy);
}

/* ---- routes and addresses of an earlier one ---- */

/* "100: from all fwmark 0x539 lookup 133", "100: from 127.0.0.0/8 ipproto tcp lookup 133" */
static bool is_rule(const char *line, long long mark, long long table)
{
	char by[48], to[32];
	const char *found, *target;

	snprintf(by, sizeof(by), "fwmark 0x%llx", (unsigned long long)mark);
	snprintf(to, sizeof(to), "lookup %lld", table);
	target = strstr(line, to);
	if (target == NULL || strspn(target + strlen(to), " ") != strlen(target + strlen(to)))
		return false;
	if ((found = strstr(line, by)) != NULL && strchr(" /", found[strlen(by)]) != NULL)
		return true;
	return strstr(line, "from 127.0.0.0/8 ") != NULL;
}

static bool has_rule(char *text, long long mark, long long table)
{
	bool found = false;
	char *line;

	while ((line = strsep(&text, "\n")) != NULL)
		found |= is_rule(line, mark, table);
	return found;
}

/* The families that have such a rule: bits 0 (IPv4) and 1; -1: it cannot be seen. */
static int find_rules(long long mark, long long table)
{
	int found = 0;

	for (unsigned f = 0; f < 2; f++) {
		const char *const argv[] = { "ip", f == 0 ? "-4" : "-6", "-N", "rule", "show", NULL };
		const struct run r = { .argv = argv, .netns = -1 };
		char *text = NULL;
		struct err e;

		if (run_program(&r, &text, &e) == 0)
			found |= has_rule(text, mark, table) ? 1 << f : 0;
		else if (f == 0)		/* IPv6 may not be there */
			return -1;
		free(text);
	}
	return found;
}

static void check_routing(struct doctor *d)
{
	const json_t *i = doctor_intercept(d);
	long long mark = json_number(i, "tproxy_mark"), table = json_number(i, "tproxy_route_table");
	bool wanted = d->runs && (d->settings == NULL || strcmp(json_text(i, "mode"), "tproxy") == 0);
	char remedy[128];
	int found;

	mark = mark != 0 ? mark : MARK_DEFAULT;
	table = table != 0 ? table : TABLE_DEFAULT;
	found = find_rules(mark, table);
	if (found == -1) {
		doctor_say(d, "leftover routing", FINDING_UNSEEN, "apt-get install iproute2", "whether rules of TPROXY are in");
	} else if (found > 0 && !wanted) {
		snprintf(remedy, sizeof(remedy), "meshctl intercept clear, or ip %s rule del lookup %lld",
		    (found & 1) != 0 ? "-4" : "-6", table);
		doctor_say(d, "leftover routing", FINDING_BAD, remedy, "a rule of TPROXY is in (lookup %lld), and nobody uses it",
		    table);
	} else {
		doctor_say(d, "leftover routing", FINDING_OK, NULL, "none");
	}
}

/* ::6 and its like on lo come with the rules. */
static void check_address(struct doctor *d)
{
	FILE *f = fopen("/proc/net/if_inet6", "re");
	char line[128];
	bool there = false;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		there |= strncmp(line, "00000000000000000000000000000006 ", 33) == 0;
	if (f != NULL)
		fclose(f);
	if (there && !d->runs)
		doctor_say(d, "leftover address", FINDING_WARNING, "meshctl intercept clear, or ip -6 addr del ::6/128 dev lo",
		    "::6 is on lo, and no meshd runs");
}

/* ---- connection tracking ---- */

static void check_conntrack(struct doctor *d)
{
	long long most = doctor_number("/proc/sys/net/netfilter/nf_conntrack_max"), limit = json_number(d->settings, "max_connections");
	long long now = doctor_number("/proc/sys/net/netfilter/nf_conntrack_count"), wanted = limit * 2;
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "sysctl -w net.netfilter.nf_conntrack_max=%lld, and a file in /etc/sysctl.d",
	    wanted > most * 2 ? wanted : most * 2);
	if (most == -1)
		doctor_say(d, "conntrack size", d->runs && json_is_true(json_object_get(doctor_intercept(d), "in")) ? FINDING_UNSEEN : FINDING_OK,
		    NULL, "not in use yet: it comes with the rules");
	else if (now > most / 10 * 9)
		doctor_say(d, "conntrack size", FINDING_BAD, remedy, "%lld of %lld entries are taken: new connections will be dropped", now, most);
	else if (now > most / 10 * 7)
		doctor_say(d, "conntrack size", FINDING_WARNING, remedy, "%lld of %lld entries are taken", now, most);
	else if (wanted > most)
		doctor_say(d, "conntrack size", FINDING_WARNING, remedy, "%lld entries; max_connections = %lld needs two for each", most, limit);
	else
		doctor_say(d, "conntrack size", FINDING_OK, NULL, "%lld of %lld entries are taken", now, most);
}

/* ---- what stands in the way of TPROXY ---- */

static void check_tproxy(struct doctor *d)
{
	static const char *const filters[] = { "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/ipv4/conf/default/rp_filter" };
	bool marks = doctor_number("/proc/sys/net/ipv4/conf/all/src_valid_mark") == 1, strict = false;

	if (strcmp(json_text(doctor_intercept(d), "mode"), "tproxy") != 0)
		return;
	for (size_t i = 0; i < 2; i++)
		strict |= doctor_number(filters[i]) == 1;
	if (strict && marks)
		doctor_say(d, "rp_filter", FINDING_WARNING, "sysctl -w net.ipv4.conf.all.src_valid_mark=0, or rp_filter=2",
		    "strict, and it looks at marks: packets that TPROXY has marked are dropped as martians");
	else
		doctor_say(d, "rp_filter", FINDING_OK, NULL, "%s", strict ? "strict, and does not look at marks" : "not strict");
	if (doctor_number("/proc/sys/net/ipv4/conf/all/route_localnet") == 1)
		doctor_say(d, "route_localnet", FINDING_WARNING, "sysctl -w net.ipv4.conf.all.route_localnet=0: meshd does not need it",
		    "on: other hosts can reach what listens on 127.0.0.1");
	else
		doctor_say(d, "route_localnet", FINDING_OK, NULL, "off");
}

void doctor_tables(struct doctor *d)
{
	check_programs(d);
	check_ip(d);
	check_tables(d);
	check_routing(d);
	check_address(d);
	check_conntrack(d);
	check_tproxy(d);
}
