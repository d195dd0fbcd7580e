/* reload, drain, crashes: what only the master can do. */
#include "ctl/master.h"

#include "ctl/client.h"
#include "ctl/json.h"
#include "ctl/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE_MS	 30000		/* compiling has a deadline of its own */
#define RELOAD_MOST_MS	 600000u
#define DRAIN_MS	 30000u
#define DRAIN_MOST_MS	 3600000u

void ctl_copy_report(int fd)
{
	char bytes[4096];
	off_t at = 0;
	ssize_t n;

	for (; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		fwrite(bytes, 1, (size_t)n, stderr);
}

struct control_request master_request(enum control_verb verb)
{
	return (struct control_request){ .magic = CONTROL_MAGIC, .verb = verb, .timeout_ms = MASTER_WAIT_MS };
}

int master_ask(struct ctl *c, const struct control_request *q, struct control_reply *r, int *fd_r)
{
	struct err e;
	int fd;

	if (client_ask_master(c->rundir, q, (int)q->timeout_ms + GRACE_MS, r, &fd, &e) == -1) {
		ctl_complain("%s", e.text);
		return 1;
	}
	if (r->status == 0 && fd_r != NULL) {
		*fd_r = fd;
		return 0;
	}
	if (fd != -1) {
		ctl_copy_report(fd);
		close(fd);
	}
	if (r->status != 0)
		ctl_complain("%s", r->text[0] != '\0' ? r->text : "meshd could not do it");
	return r->status != 0;
}

static void print_reply(FILE *to, const json_t *r)
{
	if (*json_text(r, "text") != '\0')
		fprintf(to, "%s\n", json_text(r, "text"));
	else
		fprintf(to, "generation %lld\n", (long long)json_number(r, "generation"));
}

int master_order(struct ctl *c, const struct control_request *q)
{
	struct control_reply r;
	json_t *facts;

	if (master_ask(c, q, &r, NULL) != 0)
		return 1;
	facts = json_pack("{s:I, s:s}", "generation", (json_int_t)r.generation, "text", r.text);
	output_facts(c->out, facts, print_reply);
	json_decref(facts);
	return 0;
}

int command_reload(struct ctl *c)
{
	struct control_request q = master_request(CONTROL_RELOAD);

	if (ctl_duration(c, "timeout", RELOAD_MOST_MS, &q.timeout_ms) == -1)
		return 2;
	if (ctl_switch(c, "wait", false))
		q.flags |= CONTROL_WAIT;
	return master_order(c, &q);
}

/* ---- drain ---- */

/* The one of the flags that is given, in the words of the request; -1: none, several, or too long a name, it is said. */
static int take_scope(struct ctl *c, char *to, size_t room)
{
	static const char *const kinds[] = { "listener", "chain", "cluster", "endpoint" };
	int given = 0, n = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *name = ctl_flag(c, kinds[i]);

		if (name == NULL)
			continue;
		given++;
		n = snprintf(to, room, "%s %s", kinds[i], name);
	}
	if (ctl_switch(c, "all", false)) {
		given++;
		n = snprintf(to, room, "all");
	}
	if (given != 1) {
		ctl_complain("drain: %s of --listener, --chain, --cluster, --endpoint and --all %s", given == 0 ? "one" : "only one",
		    given == 0 ? "is needed" : "may be given");
		return -1;
	}
	if ((size_t)n >= room) {
		ctl_complain("drain: the name is too long");
		return -1;
	}
	return 0;
}

int command_drain(struct ctl *c)
{
	struct control_request q = master_request(CONTROL_CLOSE);

	q.span_ms = DRAIN_MS;
	if (take_scope(c, q.name, sizeof(q.name)) == -1 || ctl_duration(c, "over", DRAIN_MOST_MS, &q.span_ms) == -1)
		return 2;
	return master_order(c, &q);
}

/* ---- crashes ---- */

/* A frame goes to the report before it. */
static void add_line(json_t *reports, const char *line)
{
	const json_t *last = json_array_get(reports, json_array_size(reports) - 1);
	size_t n = strcspn(line, " ");

	if (*line == ' ' && last != NULL)
		json_array_append_new(json_object_get(last, "backtrace"), json_string(line + strspn(line, " ")));
	else
		json_array_append_new(reports, json_pack("{s:s%, s:s, s:[]}", "time", line, n, "text",
		    line + n + (line[n] != '\0'), "backtrace"));
}

static void show_reports(struct output *o, char *text)
{
	json_t *reports = json_array(), *report;
	char *line;
	size_t i;

	while ((line = strsep(&text, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		output_line(o, words_harmless(line));
		add_line(reports, line);
	}
	json_array_foreach(reports, i, report)
		output_item(o, report);
	json_decref(reports);
}

int command_crashes(struct ctl *c)
{
	static const struct list list = { NULL, NULL, 0 };
	const struct control_request q = master_request(CONTROL_CRASHES);
	struct control_reply r;
	char *text = NULL;
	size_t size;
	int fd;

	if (master_ask(c, &q, &r, &fd) != 0)
		return 1;
	if (fd != -1) {
		text = words_read(fd, &size);
		close(fd);
		if (text == NULL) {
			ctl_complain("the reports cannot be read: %m");
			return 1;
		}
	}
	output_head(c->out, &list);
	show_reports(c->out, text);
	output_line(c->out, r.text);
	free(text);
	return 0;
}
