/* reload, intercept apply, intercept clear: what only the master can do. */
#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_WAIT_MS 30000u
#define LONGEST_WAIT_MS 600000u
#define GRACE_MS 30000			/* compiling has a deadline of its own */

/* "250ms", "15s", "10min".  0: not one, or past what the master waits. */
static uint32_t duration_ms(const char *text)
{
	static const struct { const char *word; unsigned long ms; } units[] = { { "ms", 1 }, { "s", 1000 }, { "min", 60000 } };
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || n > LONGEST_WAIT_MS || text[0] == '-')
		return 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].word) == 0)
			return n * units[i].ms <= LONGEST_WAIT_MS ? (uint32_t)(n * units[i].ms) : 0;
	}
	return 0;
}

/* The lines that come with an answer go to stderr as they are: "file:line: path: reason". */
static void copy_report(int fd)
{
	char bytes[4096];
	off_t at = 0;
	ssize_t n;

	if (fd == -1)
		return;
	for (; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		fwrite(bytes, 1, (size_t)n, stderr);
	close(fd);
}

static void print_reply(FILE *to, const json_t *r)
{
	if (*json_text(r, "text") != '\0')
		fprintf(to, "%s\n", json_text(r, "text"));
	else
		fprintf(to, "generation %lld\n", (long long)json_number(r, "generation"));
}

static int ask(struct ctl *c, const struct control_request *q)
{
	struct control_reply r;
	struct err e;
	json_t *facts;
	int fd;

	if (client_ask_master(c->rundir, q, (int)q->timeout_ms + GRACE_MS, &r, &fd, &e) == -1) {
		ctl_complain("%s", e.text);
		return 1;
	}
	copy_report(fd);
	if (r.status != 0) {
		ctl_complain("%s", r.text[0] != '\0' ? r.text : "meshd could not do it");
		return 1;
	}
	facts = json_pack("{s:I, s:s}", "generation", (json_int_t)r.generation, "text", r.text);
	output_facts(c->out, facts, print_reply);
	json_decref(facts);
	return 0;
}

int command_reload(struct ctl *c)
{
	const char *timeout = ctl_flag(c, "timeout");
	struct control_request q = { CONTROL_MAGIC, CONTROL_RELOAD, 0, DEFAULT_WAIT_MS };

	if (timeout != NULL && (q.timeout_ms = duration_ms(timeout)) == 0) {
		ctl_complain("--timeout %s: a time such as 30s is needed, at most 10min", timeout);
		return 2;
	}
	if (ctl_switch(c, "wait", false))
		q.flags |= CONTROL_WAIT;
	return ask(c, &q);
}

int command_intercept_apply(struct ctl *c)
{
	return ask(c, &(struct control_request){ CONTROL_MAGIC, CONTROL_INTERCEPT_APPLY, 0, DEFAULT_WAIT_MS });
}

int command_intercept_clear(struct ctl *c)
{
	return ask(c, &(struct control_request){ CONTROL_MAGIC, CONTROL_INTERCEPT_CLEAR, 0, DEFAULT_WAIT_MS });
}
