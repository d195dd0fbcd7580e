/* What meshctl intercept asks for: see control_client.h. */
#include "master/control_client.h"
#include "master/intercept.h"
#include "master/master.h"
#include "master/publish.h"
#include "master/report.h"

#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONFIRM_MOST_MS 3600000u

/* What was asked for by a client that may be another one by then. */
struct errand {
	struct control *k;
	unsigned client, life;
	uint32_t verb, confirm_ms;
};

static struct client *who_waits(const struct errand *r)
{
	struct client *c = &r->k->clients[r->client];

	return c->life == r->life && c->state == CLIENT_RULES ? c : NULL;
}

static struct errand *errand_of(struct client *c, const struct control_request *q)
{
	struct errand *r = malloc(sizeof(*r));

	if (r != NULL)
		*r = (struct errand){ c->k, (unsigned)(c - c->k->clients), c->life, q->verb, q->span_ms };
	c->state = CLIENT_RULES;
	return r;
}

/* ---- in and out ---- */

static void describe(const struct errand *r, char *text, size_t size)
{
	if (r->verb == CONTROL_INTERCEPT_CLEAR)
		snprintf(text, size, "interception rules are out");
	else if (r->confirm_ms == 0)
		snprintf(text, size, "interception rules are in");
	else
		snprintf(text, size, "interception rules are in, and go out again in %u s, unless confirmed (meshctl intercept confirm)",
		    (r->confirm_ms + 999) / 1000);
}

static void rules_done(void *arg, bool ok, const struct err *e)
{
	struct errand *r = arg;
	struct client *c = who_waits(r);
	char text[200];

	master_set_intercepting(r->k->m);
	if (!ok)
		log_error("%s", e->text);
	describe(r, text, sizeof(text));
	if (c != NULL)
		control_answer(c, ok, ok ? text : e->text, -1);
	free(r);
}

static int start_rules(struct master *m, const struct control_request *q, struct errand *r, struct err *e)
{
	const struct intercept_how how = {
		.force = q->flags & CONTROL_FORCE, .confirmed = q->span_ms == 0, .confirm_ms = q->span_ms,
	};

	if (r == NULL)
		return -1;
	return q->verb == CONTROL_INTERCEPT_APPLY ? master_apply_rules(m, &how, rules_done, r, e) :
	    intercept_clear(m->intercept, how.force, rules_done, r);
}

static void change(struct client *c, const struct control_request *q)
{
	struct errand *r = errand_of(c, q);
	struct err e;

	err_set(&e, "out of memory");
	if (start_rules(c->k->m, q, r, &e) == -1) {
		free(r);
		control_answer(c, false, e.text, -1);
	}
}

/* ---- looking ---- */

static int report(struct master *m, uint32_t verb, char *text, size_t size, struct err *e)
{
	struct rules *r = m->fixed.intercept.configured ? master_read_rules(m, generation_image(m->generations), e) : NULL;
	int fd;

	if (m->fixed.intercept.configured && r == NULL)
		return -1;
	fd = verb == CONTROL_INTERCEPT_PLAN ? report_plan(r, m->intercept, text, size, e) :
	    report_status(r, m->intercept, true, text, size, e);
	rules_free(r);
	return fd;
}

static void looked(void *arg, bool ok, const struct err *e)
{
	struct errand *r = arg;
	struct client *c = who_waits(r);
	char text[400] = "";
	struct err why;
	int fd = -1;

	if (c != NULL && ok) {
		fd = report(r->k->m, r->verb, text, sizeof(text), &why);
		control_answer(c, fd != -1, fd != -1 ? text : why.text, fd);
	} else if (c != NULL) {
		control_answer(c, false, e->text, -1);
	}
	if (fd != -1)
		close(fd);
	free(r);
}

static void look(struct client *c, const struct control_request *q)
{
	struct errand *r = errand_of(c, q);

	if (r == NULL || intercept_look(c->k->m->intercept, q->verb == CONTROL_INTERCEPT_STATUS, looked, r) == -1) {
		free(r);
		control_answer(c, false, "out of memory", -1);
	}
}

/* ---- verbs ---- */

static void confirm(struct client *c)
{
	struct err e;

	if (intercept_confirm(c->k->m->intercept, &e) == -1)
		control_answer(c, false, e.text, -1);
	else
		control_answer(c, true, "interception rules are confirmed: they stay", -1);
}

void control_rules(struct client *c, const struct control_request *q)
{
	const struct master *m = c->k->m;

	if (q->verb == CONTROL_INTERCEPT_CLEAR)
		change(c, q);
	else if (m->phase != PHASE_RUNNING)
		control_answer(c, false, "meshd is not ready yet", -1);
	else if (q->verb == CONTROL_INTERCEPT_CONFIRM)
		confirm(c);
	else if (q->verb != CONTROL_INTERCEPT_APPLY)
		look(c, q);
	else if (m->fixed.intercept.mode == INTERCEPT_NONE)
		control_answer(c, false, "the configuration sets no rules (intercept.mode)", -1);
	else if (q->span_ms > CONFIRM_MOST_MS)
		control_answer(c, false, "rules can wait to be confirmed for 1 h at most", -1);
	else
		change(c, q);
}
