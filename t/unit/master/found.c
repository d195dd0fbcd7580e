/* What iptables-save says, and what is made of it: master/saved.c, found.c, loops.c, iptables.c (choosing), state.c, owners.c. */
#include "master/found.h"
#include "master/owners.h"
#include "master/saved.h"
#include "master/scene.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct rules all = {
	.mode = INTERCEPT_REDIRECT, .worker_uid = 901, .agent_uid = 902, .worker_gid = 903, .outbound_port = 15001,
	.outbound_last = 15004, .inbound_port = 15006, .inbound_sources = 1, .every_inbound_port = true,
	.every_outbound_range = true, .every_user = true, .every_group = true,
};

/* ---- its form ---- */

Test(saved, counters_quotes_and_trailing_blanks)
{
	struct saved s = saved_begin("# a comment\n*nat\n:OUTPUT ACCEPT [1:2]\n:X - [0:0]\n"
	    "[12:3456] -A OUTPUT -p tcp -m comment --comment \"say -j \\\"Y\\\"\" -j X \n-A X -g Z\nCOMMIT\n");
	const char *at;
	char word[64];

	cr_assert(saved_next(&s));
	cr_expect(!s.is_rule && s.built_in);
	cr_expect_str_eq(s.table, "nat");
	cr_assert(saved_next(&s));
	cr_expect(!s.is_rule && !s.built_in);
	cr_assert(saved_next(&s));
	cr_expect(s.is_rule);
	cr_expect_str_eq(s.chain, "OUTPUT");
	cr_expect_str_eq(s.target, "X");
	cr_expect_eq(s.packets, 12);
	cr_expect_eq(s.bytes, 3456);
	cr_expect_eq(strncmp(s.rule, "-p tcp", 6), 0);
	cr_expect_eq(s.rule[s.length - 1], 'X');
	at = strstr(s.rule, "\"say");
	cr_assert(saved_word(&at, s.rule + s.length, word, sizeof(word)));
	cr_expect_str_eq(word, "say -j \"Y\"");
	cr_assert(saved_next(&s));
	cr_expect(s.goes);
	cr_expect_eq(s.packets, 0);
	cr_assert_not(saved_next(&s));
}

Test(saved, what_is_cut_off_is_no_crash)
{
	static const char text[] = "*nat\n:OUTPUT ACCEPT [0:0]\n[1:2] -A OUTPUT -m comment --comment \"x\" -j MESHD_OUTPUT\nCOMMIT\n";
	char cut[sizeof(text)];

	for (size_t n = 0; n < sizeof(text); n++) {
		struct saved s = saved_begin(cut);
		struct found f;

		snprintf(cut, n + 1, "%s", text);
		while (saved_next(&s))
			;
		found_look(cut, &f);
	}
}

/* ---- ours ---- */

/* As iptables-save prints what applying has put in: sorted by chain, with others between. */
static char *as_saved(const struct rules *r)
{
	struct ruleset *set = ruleset_make(r, AF_INET);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "*nat\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n");
	for (uint32_t i = set->count; i-- > 0; ) {
		if (set->rows[i].text == NULL)
			fprintf(f, ":%s - [0:0]\n", set->rows[i].chain);
	}
	fprintf(f, "-A OUTPUT -j DOCKER\n");
	for (uint32_t i = 0; i < set->count; i++) {
		if (ruleset_is_jump(&set->rows[i]))
			fprintf(f, "-A %s %s\n", set->rows[i].chain, set->rows[i].text);
	}
	for (uint32_t i = 0; i < set->count; i++) {
		if (set->rows[i].text != NULL && !ruleset_is_jump(&set->rows[i]))
			fprintf(f, "-A %s %s\n", set->rows[i].chain, set->rows[i].text);
	}
	fprintf(f, "COMMIT\n");
	fclose(f);
	ruleset_free(set);
	return text;
}

Test(found, the_digest_is_of_ours_wherever_they_stand)
{
	struct ruleset *set = ruleset_make(&all, AF_INET);
	char *text = as_saved(&all), *line;
	struct found f;

	found_look(text, &f);
	cr_expect(f.ours && f.captures && !f.tproxy);
	cr_expect_str_eq(f.half, "");
	cr_expect_str_eq(f.foreign, "");
	cr_expect_eq(f.digest, found_digest(set));
	line = strstr(text, "--to-ports 15006");
	memcpy(line, "--to-ports 15007", 16);
	found_look(text, &f);
	cr_expect_neq(f.digest, found_digest(set));
	ruleset_free(set);
	free(text);
}

Test(found, halves)
{
	static const struct {
		const char *saved, *half;
	} rows[] = {
		{ "*nat\n:MESHD_OUTPUT - [0:0]\nCOMMIT\n", "nothing jumps to chain MESHD_OUTPUT of table nat" },
		{ "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j MESHD_OUTPUT\nCOMMIT\n", "chain MESHD_OUTPUT of table nat, to which OUTPUT jumps, is missing" },
		{ "*nat\n:MESHD_OUTPUT - [0:0]\n-A OUTPUT -j MESHD_OUTPUT\nCOMMIT\n", "" },
		{ "*mangle\n:MESHD_OUTPUT - [0:0]\nCOMMIT\n*nat\n:MESHD_OUTPUT - [0:0]\n-A OUTPUT -j MESHD_OUTPUT\nCOMMIT\n",
			"nothing jumps to chain MESHD_OUTPUT of table mangle" },
		{ "*nat\n:DOCKER - [0:0]\nCOMMIT\n", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct found f;

		found_look(rows[i].saved, &f);
		cr_expect_str_eq(f.half, rows[i].half, "row %zu", i);
	}
}

Test(found, others_who_catch_connections)
{
	static const struct {
		const char *rule;
		bool foreign;
	} rows[] = {
		{ "-A OUTPUT -p tcp -j REDIRECT --to-ports 9", true },
		{ "-A OUTPUT -j REDIRECT --to-ports 9", true },
		{ "-A OUTPUT -p tcp -m owner ! --uid-owner 5 -j REDIRECT --to-ports 9", true },
		{ "-A PREROUTING -p tcp -j TPROXY --on-port 9 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1", true },
		{ ":ISTIO_OUTPUT - [0:0]", true },
		{ "-A OUTPUT -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 9", false },
		{ "-A OUTPUT -p tcp -m multiport --dports 80,81 -j REDIRECT --to-ports 9", false },
		{ "-A OUTPUT -p udp -j REDIRECT --to-ports 9", false },
		{ "-A OUTPUT -p tcp -j DNAT --to-destination 10.0.0.1:9", false },
		{ "-A OUTPUT -p tcp -m comment --comment \"-j REDIRECT\" -j RETURN", false },
		{ "-A MESHD_REDIRECT -p tcp -j REDIRECT --to-ports 15001", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		struct found f;

		snprintf(text, sizeof(text), "*nat\n%s\nCOMMIT\n", rows[i].rule);
		found_look(text, &f);
		cr_expect_eq(f.foreign[0] != '\0', rows[i].foreign, "%s: %s", rows[i].rule, f.foreign);
	}
}

/* ---- loops ---- */

#define OURS "-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\n"

Test(loops, a_workers_own_connection_is_followed)
{
	static const struct {
		const char *rules;
		bool loops;
	} rows[] = {
		{ OURS, true },
		{ "-A OUTPUT -p tcp -j REDIRECT --to-ports 15006\n", true },
		{ "-A OUTPUT -p tcp -j REDIRECT --to-ports 15003-15010\n", true },
		{ "-A OUTPUT -p tcp -j REDIRECT --to-ports 15005\n", false },
		{ "-A OUTPUT -p udp -j REDIRECT --to-ports 15001\n", false },
		{ "-A OUTPUT -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 15001\n", true },
		{ "-A OUTPUT -p tcp -j DNAT --to-destination 127.0.0.1:15001\n", true },
		{ "-A OUTPUT -p tcp -j DNAT --to-destination 127.0.0.1\n", false },
		{ "-A OUTPUT -m owner --uid-owner 901 -j RETURN\n" OURS, false },
		{ "-A OUTPUT -m owner --uid-owner 900-905 -j ACCEPT\n" OURS, false },
		{ "-A OUTPUT -m owner --gid-owner 903 -j RETURN\n" OURS, false },
		{ "-A OUTPUT -m comment --comment \"a b\" -m owner --uid-owner 901 -j RETURN\n" OURS, false },
		{ "-A OUTPUT -m owner --uid-owner 902 -j RETURN\n" OURS, true },
		{ "-A OUTPUT -p tcp -m tcp --dport 80 -m owner --uid-owner 901 -j RETURN\n" OURS, true },
		{ OURS "-A OUTPUT -m owner --uid-owner 901 -j RETURN\n", true },
		{ "-A OUTPUT -p tcp -m owner ! --uid-owner 901 -j REDIRECT --to-ports 15001\n", false },
		{ "-A OUTPUT -p tcp -m owner ! --uid-owner 902 -j REDIRECT --to-ports 15001\n", true },
		{ "-A OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 901 -j REDIRECT --to-ports 15006\n", false },
		/* through chains */
		{ "-A OUTPUT -p tcp -j X\n-A X -p tcp -j REDIRECT --to-ports 15001\n", true },
		{ "-A OUTPUT -p tcp -j X\n-A X -m owner --uid-owner 901 -j RETURN\n-A X -p tcp -j REDIRECT --to-ports 15001\n", false },
		{ "-A OUTPUT -p tcp -j X\n-A X -m owner --uid-owner 901 -j RETURN\n" OURS, true },
		{ "-A OUTPUT -p tcp -j X\n-A X -m owner --uid-owner 901 -j ACCEPT\n" OURS, false },
		{ "-A OUTPUT -d 10.0.0.0/8 -j X\n-A X -m owner --uid-owner 901 -j ACCEPT\n" OURS, true },
		{ "-A OUTPUT -p tcp -g X\n-A X -m owner --uid-owner 901 -j RETURN\n" OURS, false },
		{ "-A OUTPUT -p tcp -j LOG\n" OURS, true },
		{ "-A OUTPUT -p tcp -j REDIRECT --to-ports 9\n" OURS, false },
		{ "-A OUTPUT -p tcp -j X\n-A X -j Y\n-A Y -j X\n" OURS, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024], rule[256], chain[64];

		snprintf(text, sizeof(text), "*filter\n%sCOMMIT\n*nat\n:OUTPUT ACCEPT [0:0]\n%sCOMMIT\n",
		    "-A OUTPUT -p tcp -j REDIRECT --to-ports 15001\n", rows[i].rules);
		cr_expect_eq(found_loop(text, &all, rule, sizeof(rule), chain, sizeof(chain)), rows[i].loops, "row %zu: %s", i, rows[i].rules);
	}
}

/* ---- the kind of iptables ---- */

#define EMPTY   "*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
#define THEIRS  "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n"
#define MESHDS  "*nat\n:MESHD_OUTPUT - [0:0]\n-A OUTPUT -j MESHD_OUTPUT\nCOMMIT\n"

Test(iptables, chosen_as_istio_does)
{
	static const struct {
		enum image_iptables how;
		const char *nft, *legacy, *plain;
		enum variant chosen;
	} rows[] = {
		{ IPTABLES_AUTO, "", "", NULL, VARIANT_NFT },
		{ IPTABLES_AUTO, THEIRS, THEIRS, NULL, VARIANT_LEGACY },
		{ IPTABLES_AUTO, "", THEIRS, NULL, VARIANT_LEGACY },
		{ IPTABLES_AUTO, "", EMPTY, NULL, VARIANT_NFT },
		{ IPTABLES_AUTO, MESHDS, THEIRS, NULL, VARIANT_NFT },
		{ IPTABLES_AUTO, THEIRS, MESHDS, NULL, VARIANT_LEGACY },
		{ IPTABLES_AUTO, NULL, "", NULL, VARIANT_LEGACY },
		{ IPTABLES_AUTO, NULL, NULL, "", VARIANT_PLAIN },
		{ IPTABLES_AUTO, NULL, NULL, NULL, VARIANTS },
		{ IPTABLES_NFT, "", THEIRS, NULL, VARIANT_NFT },
		{ IPTABLES_NFT, NULL, THEIRS, "", VARIANTS },
		{ IPTABLES_LEGACY, "", "", NULL, VARIANT_LEGACY },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *saved[VARIANTS] = { (char *)(uintptr_t)rows[i].nft, (char *)(uintptr_t)rows[i].legacy, (char *)(uintptr_t)rows[i].plain };

		cr_expect_eq(iptables_choose(rows[i].how, saved), rows[i].chosen, "row %zu", i);
	}
}

/* ---- the note ---- */

Test(state, what_is_written_is_read)
{
	char dir[] = "/tmp/meshd-test-XXXXXX", path[64];
	struct state s, t;
	struct err e;

	cr_assert_not_null(mkdtemp(dir));
	state_read(dir, &t);
	cr_expect_eq(t.phase, STATE_NONE);
	state_begin(&s);
	s.phase = STATE_IN;
	s.generation = 7;
	s.token = UINT64_MAX;
	s.until = 5;
	s.digest[FAMILY_IPV6] = 0xdeadbeefdeadbeef;
	s.variant[FAMILY_IPV4] = VARIANT_LEGACY;
	s.policy = (struct policy){ .mark = 9, .table = 8, .routing = 21, .addresses = 5 };
	cr_assert_eq(state_write(dir, &s, &e), 0, "%s", e.text);
	state_read(dir, &t);
	cr_expect_eq(memcmp(&s, &t, sizeof(s)), 0);
	cr_expect_not(state_is_elsewhere(&t));
	s.netns++;
	cr_expect(state_is_elsewhere(&s));
	state_remove(dir);
	state_read(dir, &t);
	cr_expect_eq(t.phase, STATE_NONE);
	snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
	cr_expect_eq(access(path, F_OK), -1);
	rmdir(dir);
}

Test(state, of_another_boot_is_none)
{
	char dir[] = "/tmp/meshd-test-XXXXXX", path[64];
	struct state t;
	FILE *f;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, STATE_FILE);
	cr_assert_not_null(f = fopen(path, "w"));
	fprintf(f, "phase in\nboot 1-2-3\npid 5\naddresses 4294967295\nnonsense\nvariant-ipv4 other\n");
	fclose(f);
	state_read(dir, &t);
	cr_expect_eq(t.phase, STATE_NONE);
	cr_expect_eq(t.policy.addresses, 0);
	unlink(path);
	rmdir(dir);
}

/* ---- owners ---- */

Test(owners, names_and_numbers)
{
	struct owner o;
	struct err e;

	cr_expect_eq(owner_find(OWNER_USER, "k", "root", &o, &e), 0);
	cr_expect(o.first == 0 && o.last == 0);
	cr_expect_eq(owner_find(OWNER_GROUP, "k", "1000-1999", &o, &e), 0);
	cr_expect(o.first == 1000 && o.last == 1999);
	cr_expect_eq(owner_find(OWNER_USER, "k", "4294967294", &o, &e), 0);
	for (const char *const *w = (const char *const []){ "4294967295", "5-", "-5", "9-3", "", "5x", "no-such", NULL }; *w != NULL; w++)
		cr_expect_eq(owner_find(OWNER_USER, "include_outbound_users", *w, &o, &e), -1, "%s", *w);
	cr_expect_str_eq(e.text, "intercept.include_outbound_users: there is no user \"no-such\"");
}

/* ---- judging ---- */

Test(scene, a_set_that_is_whole_or_explained_is_taken_over)
{
	struct ruleset *sets[FAMILIES] = { ruleset_make(&all, AF_INET), NULL };
	struct rules other = all;
	struct scene s = { .broken = { false } };
	struct state st;
	struct err e;

	state_begin(&st);
	other.inbound_port = 16006;
	s.saved[FAMILY_IPV4][VARIANT_NFT] = as_saved(&other);
	st.phase = STATE_NONE;
	cr_expect_eq(scene_refuse(&s, &st, sets, &e), 0, "whole, and nobody says how it was");
	st.phase = STATE_IN;
	st.variant[FAMILY_IPV4] = VARIANT_NFT;
	cr_expect_eq(scene_refuse(&s, &st, sets, &e), -1, "not as the note has it");
	st.phase = STATE_APPLYING;
	cr_expect_eq(scene_refuse(&s, &st, sets, &e), 0, "a start that was killed");
	st.phase = STATE_IN;
	free(s.saved[FAMILY_IPV4][VARIANT_NFT]);
	s.saved[FAMILY_IPV4][VARIANT_NFT] = as_saved(&all);
	cr_expect_eq(scene_refuse(&s, &st, sets, &e), 0, "just what is wanted");
	scene_forget(&s);
	ruleset_free(sets[0]);
}

Test(scene, without_a_note_what_is_found_says_what_goes_with_it)
{
	struct scene s = { .broken = { false } };
	struct rules r = all;
	struct policy p;

	r.mode = INTERCEPT_TPROXY;
	r.mark = 77;
	s.saved[FAMILY_IPV4][VARIANT_LEGACY] = as_saved(&r);
	scene_guess_policy(&s, 1337, 133, &p);
	cr_expect(p.routing == policy_routing(AF_INET) && p.addresses == 0);
	cr_expect(p.mark == 77 && p.table == 133);
	s.saved[FAMILY_IPV6][VARIANT_NFT] = as_saved(&all);
	scene_guess_policy(&s, 1337, 133, &p);
	cr_expect(p.routing == policy_routing(AF_INET) && p.addresses == 0xffff);
	scene_forget(&s);
}
