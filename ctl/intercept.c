/*
 * intercept plan, apply, confirm, status, clear.  The running meshd is asked; what can be done without one is done by
 * `meshd --intercept`, which says the same lines (common/control.h).
 */
#include "common/program.h"
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/master.h"
#include "ctl/table.h"
#include "ctl/words.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIRM_MOST_MS 3600000u
#define GRACE_MS	10000
#define ARGUMENTS	48

extern char **environ;

int command_intercept_apply(struct ctl *c)
{
	struct control_request q = master_request(CONTROL_INTERCEPT_APPLY);

	if (ctl_duration(c, "confirm", CONFIRM_MOST_MS, &q.span_ms) == -1)
		return 2;
	if (ctl_switch(c, "force", false))
		q.flags |= CONTROL_FORCE;
	return master_order(c, &q);
}

int command_intercept_confirm(struct ctl *c)
{
	const struct control_request q = master_request(CONTROL_INTERCEPT_CONFIRM);

	return master_order(c, &q);
}

/* ---- lines ---- */

/* Cuts it at its tabs, into `most` fields at most.  How many there are. */
static int cut(char *line, char *fields[], int most)
{
	int n = 0;

	while (n < most && line != NULL)
		fields[n++] = strsep(&line, "\t");
	return n;
}

static json_t *text_or_number(const char *text)
{
	uint64_t n;

	return ctl_number(text, INT64_MAX, &n) ? json_integer((json_int_t)n) : json_string(text);
}

static void take_fact(json_t *facts, const char *key, const char *value)
{
	if (strcmp(key, "beside") == 0)
		json_array_append_new(json_object_get(facts, "beside"), json_string(value));
	else
		json_object_set_new(facts, key, text_or_number(value));
}

static json_t *rule_item(char *const f[])
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s}", "family", f[1], "kind", f[2], "table", f[3], "chain", f[4],
	    "packets", text_or_number(f[5]), "bytes", text_or_number(f[6]), "rule", f[7]);
}

static json_t *plan_item(char *const f[])
{
	return json_pack("{s:s, s:s, s:s, s:s}", "family", f[1], "table", f[2], "rule", f[3], "reason", f[4]);
}

static void take_line(json_t *facts, char *line)
{
	char *f[CONTROL_RULE_FIELDS];
	int n = cut(line, f, CONTROL_RULE_FIELDS);

	if (n == 2 && strcmp(f[0], "text") == 0)
		json_object_set_new(facts, "text", json_string(f[1]));
	else if (n == 2 && strcmp(f[0], "finding") == 0)
		json_array_append_new(json_object_get(facts, "findings"), json_string(f[1]));
	else if (n == 3 && strcmp(f[0], "fact") == 0)
		take_fact(facts, f[1], f[2]);
	else if (n == 5 && strcmp(f[0], "plan") == 0)
		json_array_append_new(json_object_get(facts, "entries"), plan_item(f));
	else if (n == 8 && strcmp(f[0], "rule") == 0)
		json_array_append_new(json_object_get(facts, "entries"), rule_item(f));
}

/* Of all lines; fd stays the caller's.  NULL: it is said why not. */
static json_t *read_lines(int fd)
{
	size_t size;
	char *text = words_read(fd, &size), *rest = text, *line;
	json_t *facts;

	if (text == NULL) {
		ctl_complain("the answer cannot be read: %m");
		return NULL;
	}
	facts = json_pack("{s:[], s:[], s:[]}", "beside", "entries", "findings");
	while (facts != NULL && (line = strsep(&rest, "\n")) != NULL)
		take_line(facts, words_harmless(line));
	free(text);
	return facts;
}

/* ---- who is asked ---- */

/* Runs `meshd --intercept ...`; its lines, the caller's.  -1: it has said why not. */
static int run_meshd(const char *const *arguments)
{
	const char *argv[ARGUMENTS] = { "meshd", "--intercept" };
	posix_spawn_file_actions_t actions;
	char program[PATH_MAX];
	int fd = memfd_create("meshd-intercept", MFD_CLOEXEC), n = 2, status = -1, r;
	struct err e;
	pid_t pid;

	if (fd == -1 || program_find("meshd", program, &e) == -1) {
		ctl_complain("%s", fd == -1 ? strerror(errno) : e.text);
		return -1;
	}
	while (*arguments != NULL && n < ARGUMENTS - 1)
		argv[n++] = *arguments++;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	r = posix_spawn(&pid, program, &actions, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		ctl_complain("%s: %s", program, strerror(r));
	else
		waitpid(pid, &status, 0);
	if (r == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Asks the meshd that runs, or, where none does, one that is run for this alone.  NULL: it is said why not. */
static json_t *ask(struct ctl *c, const struct control_request *q, const char *const *arguments)
{
	struct control_reply r;
	json_t *facts = NULL;
	struct err e;
	int fd = -1;

	if (client_ask_master(c->rundir, q, (int)q->timeout_ms + GRACE_MS, &r, &fd, &e) == 0) {
		if (r.status != 0)
			ctl_complain("%s", r.text[0] != '\0' ? r.text : "meshd could not do it");
		else
			facts = fd != -1 ? read_lines(fd) : json_pack("{s:s}", "text", words_harmless(r.text));
		if (facts != NULL && fd != -1)
			json_object_set_new(facts, "text", json_string(words_harmless(r.text)));
	} else if ((errno == ENOENT || errno == ECONNREFUSED) && arguments != NULL) {
		if ((fd = run_meshd(arguments)) != -1)
			facts = read_lines(fd);
	} else {
		ctl_complain("%s", e.text);
	}
	if (fd != -1)
		close(fd);
	return facts;
}

static int show(struct ctl *c, json_t *facts, void (*print)(FILE *, const json_t *))
{
	if (facts == NULL)
		return 1;
	output_facts(c->out, facts, print);
	json_decref(facts);
	return 0;
}

static void print_findings(FILE *to, const json_t *facts)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(facts, "findings"), i, f)
		fprintf(to, "! %s\n", json_string_value(f));
}

/* ---- plan ---- */

static bool same_place(const json_t *a, const json_t *b)
{
	return strcmp(json_text(a, "family"), json_text(b, "family")) == 0 && strcmp(json_text(a, "table"), json_text(b, "table")) == 0;
}

/* Rules of one table of one family, from the first-th on; where the next ones begin. */
static size_t print_place(FILE *to, const json_t *entries, size_t first)
{
	const json_t *head = json_array_get(entries, first);
	struct table *t = table_new(2);
	size_t i;

	if (strcmp(json_text(head, "table"), "ip") == 0)
		fprintf(to, "# %s\n", json_text(head, "family"));
	else
		fprintf(to, "# %s, table %s\n", json_text(head, "family"), json_text(head, "table"));
	for (i = first; i < json_array_size(entries) && same_place(head, json_array_get(entries, i)); i++) {
		char reason[256];

		if (t == NULL)
			continue;
		snprintf(reason, sizeof(reason), "# %s", json_text(json_array_get(entries, i), "reason"));
		table_cell(t, json_text(json_array_get(entries, i), "rule"));
		table_cell(t, reason);
		table_row_end(t);
	}
	if (t != NULL)
		table_print(t, to);
	table_free(&t);
	return i;
}

static void print_plan(FILE *to, const json_t *facts)
{
	const json_t *entries = json_object_get(facts, "entries");

	for (size_t i = 0; i < json_array_size(entries); )
		i = print_place(to, entries, i);
	if (*json_text(facts, "text") != '\0')
		fprintf(to, "# %s\n", json_text(facts, "text"));
	print_findings(to, facts);
}

int command_intercept_plan(struct ctl *c)
{
	const struct control_request q = master_request(CONTROL_INTERCEPT_PLAN);
	const char *arguments[ARGUMENTS] = { "plan", "-c", c->noperands > 0 ? c->operands[0] : NULL };
	json_t *facts = NULL;
	int n = 3, fd;

	for (int i = 0; i < c->nfolders; i++) {
		arguments[n++] = "-I";
		arguments[n++] = c->folders[i];
	}
	if (c->noperands == 0) {
		facts = ask(c, &q, NULL);
	} else if ((fd = run_meshd(arguments)) != -1) {
		facts = read_lines(fd);
		close(fd);
	}
	if (facts != NULL)
		json_object_del(facts, "beside");
	return show(c, facts, print_plan);
}

/* ---- status ---- */

static void print_state(FILE *to, const json_t *f)
{
	const char *ipv4 = json_text(f, "ipv4"), *ipv6 = json_text(f, "ipv6");
	char age[WORDS_MAX];
	const json_t *beside;
	size_t i;

	fprintf(to, "rules: %s", json_text(f, "rules"));
	if (json_number(f, "pid") != 0)
		fprintf(to, ", by meshd %s (pid %lld, which %s), generation %lld, for %s", json_text(f, "version"),
		    (long long)json_number(f, "pid"), json_text(f, "meshd"), (long long)json_number(f, "generation"),
		    words_age((uint64_t)json_number(f, "age_s") * 1000, age));
	fprintf(to, "\n");
	if (*ipv4 != '\0' || *ipv6 != '\0')
		fprintf(to, "iptables: %s for IPv4, %s for IPv6\n", *ipv4 != '\0' ? ipv4 : "none", *ipv6 != '\0' ? ipv6 : "none");
	if (json_object_get(f, "unconfirmed_s") != NULL)
		fprintf(to, "not confirmed: out again in %lld s\n", (long long)json_number(f, "unconfirmed_s"));
	json_array_foreach(json_object_get(f, "beside"), i, beside)
		fprintf(to, "beside them: %s\n", json_string_value(beside));
}

static void number_cell(struct table *t, json_int_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	table_cell(t, text);
}

static void print_rules(FILE *to, const json_t *entries)
{
	static const char *const headings[] = { "FAMILY", "TABLE", "CHAIN", "PACKETS", "BYTES", "RULE" };
	struct table *t = json_array_size(entries) > 0 ? table_new(3) : NULL;
	char bytes[WORDS_MAX];
	const json_t *r;
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < sizeof(headings) / sizeof(headings[0]); i++)
		table_cell(t, headings[i]);
	table_row_end(t);
	json_array_foreach(entries, i, r) {
		table_cell(t, json_text(r, "family"));
		table_cell(t, json_text(r, "table"));
		table_cell(t, json_text(r, "chain"));
		number_cell(t, json_number(r, "packets"));
		table_cell(t, words_bytes((uint64_t)json_number(r, "bytes"), bytes));
		table_cell(t, json_text(r, "rule"));
		table_row_end(t);
	}
	table_print(t, to);
	table_free(&t);
}

static void print_status(FILE *to, const json_t *facts)
{
	print_state(to, facts);
	print_rules(to, json_object_get(facts, "entries"));
	print_findings(to, facts);
}

int command_intercept_status(struct ctl *c)
{
	const struct control_request q = master_request(CONTROL_INTERCEPT_STATUS);
	const char *const arguments[] = { "status", "-r", c->rundir, NULL };
	json_t *facts = ask(c, &q, arguments);

	if (facts != NULL)
		json_object_del(facts, "text");
	return show(c, facts, print_status);
}

/* ---- clear ---- */

static void print_text(FILE *to, const json_t *facts)
{
	fprintf(to, "%s\n", json_text(facts, "text"));
}

int command_intercept_clear(struct ctl *c)
{
	struct control_request q = master_request(CONTROL_INTERCEPT_CLEAR);
	bool force = ctl_switch(c, "force", false);
	const char *const arguments[] = { "clear", "-r", c->rundir, force ? "--force" : NULL, NULL };
	json_t *facts, *only;

	if (force)
		q.flags |= CONTROL_FORCE;
	if ((facts = ask(c, &q, arguments)) == NULL)
		return 1;
	only = json_pack("{s:s}", "text", json_text(facts, "text"));
	json_decref(facts);
	return show(c, only, print_text);
}
