/* intercept verify: see verify.h. */
#include "ctl/verify.h"

#include "ctl/client.h"
#include "ctl/json.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_MS	5000u
#define TIMEOUT_MOST_MS 60000u
#define SET_UP_S	10u		/* on top of it, for links and answers */

/* ---- judging ---- */

static const char *direction_of(const json_t *settings, const char *listener)
{
	const json_t *l;
	size_t i;

	json_array_foreach(json_object_get(settings, "listeners"), i, l) {
		if (strcmp(json_text(l, "name"), listener) == 0)
			return json_text(l, "direction");
	}
	return "";
}

static bool is_caught_as(const struct probe *p, const json_t *settings)
{
	char to[ADDR_STRLEN];

	if (p->arrival == ARRIVED_LISTED)
		return strcmp(direction_of(settings, p->seen_listener), fate_word(p->expected)) == 0 &&
		    strcmp(p->seen_destination, addr_print(&p->to, to)) == 0;
	/* taken and ended: what registry_only, or a service that is not there, makes of it */
	return p->arrival == ARRIVED_CLOSED && (p->configured ||
	    (p->expected == FATE_OUTBOUND && strcmp(json_text(settings, "outbound_traffic_policy"), "REGISTRY_ONLY") == 0));
}

enum verdict verify_judge(const struct probe *p, const json_t *settings)
{
	bool good;

	if (p->skipped[0] != '\0' || p->expected == FATE_UNKNOWN)
		return VERDICT_NONE;
	if (p->expected == FATE_DIRECT)
		good = p->arrival == ARRIVED_DIRECT || (p->arrival == ARRIVED_ELSEWHERE && p->listener == -1);
	else
		good = is_caught_as(p, settings);
	return good ? VERDICT_GOOD : VERDICT_BAD;
}

/* ---- showing ---- */

static const struct { const char *key, *words; } arrivals[] = {
	[ARRIVED_WAITING] = { "unknown", "" },
	[ARRIVED_NOWHERE] = { "nowhere", "nothing arrived" },
	[ARRIVED_REFUSED] = { "refused", "refused: nobody listens" },
	[ARRIVED_CLOSED] = { "closed", "caught, and ended at once" },
	[ARRIVED_ELSEWHERE] = { "elsewhere", "another program has it" },
	[ARRIVED_DIRECT] = { "direct", "direct" },
	[ARRIVED_LISTED] = { "listener", "" },
};

static void show_item(struct output *o, const struct probe *p, const char *to, enum verdict v)
{
	bool sent = p->skipped[0] == '\0';
	json_t *item = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "probe", p->what,
	    "uid", p->from_there ? json_null() : json_integer(p->uid), "to", to,
	    "expected", sent && p->expected != FATE_UNKNOWN ? json_string(fate_word(p->expected)) : json_null(),
	    "arrived", sent ? json_string(arrivals[p->arrival].key) : json_null(),
	    "listener", p->arrival == ARRIVED_LISTED ? json_string(p->seen_listener) : json_null(),
	    "destination", p->arrival == ARRIVED_LISTED ? json_string(p->seen_destination) : json_null(),
	    "ok", v == VERDICT_NONE ? json_null() : json_boolean(v == VERDICT_GOOD),
	    "notSent", sent ? json_null() : json_string(p->skipped));

	output_item(o, item);
	json_decref(item);
}

static void show(struct output *o, const struct probe *p, enum verdict v)
{
	static const char *const verdicts[] = { [VERDICT_NONE] = "-", [VERDICT_GOOD] = "ok", [VERDICT_BAD] = "DIFFERS" };
	char seen[400], to[ADDR_STRLEN] = "-", uid[24] = "-";
	bool sent = p->skipped[0] == '\0';
	const char *cells[] = { p->what, uid, to, sent ? fate_word(p->expected) : "-", seen, verdicts[v] };

	if (!p->from_there)
		snprintf(uid, sizeof(uid), "%u", (unsigned)p->uid);
	if (sent)
		addr_print(&p->to, to);
	if (!sent)
		snprintf(seen, sizeof(seen), "not sent: %s", p->skipped);
	else if (p->arrival == ARRIVED_LISTED)
		snprintf(seen, sizeof(seen), "%s, to %s", p->seen_listener, p->seen_destination);
	else
		snprintf(seen, sizeof(seen), "%s", arrivals[p->arrival].words);
	output_row(o, cells);
	show_item(o, p, to, v);
}

/* What the rows cannot say. */
static void say_state(struct ctl *c, const struct plan *p)
{
	if (strcmp(json_text(p->caught.intercept, "mode"), "none") == 0)
		output_line(c->out, "the rules are somebody else's (mode = \"none\"): what is seen is not judged");
	else if (!json_is_true(json_object_get(p->caught.intercept, "in")))
		output_line(c->out, "the rules are not in: everything has to be direct");
}

static int show_all(struct ctl *c, const struct plan *p)
{
	static const char *const headings[] = { "PROBE", "UID", "TO", "EXPECTED", "ARRIVED", "RESULT", NULL };
	static const struct list list = { NULL, headings, 2 };
	bool differs = false, nothing = false;

	say_state(c, p);
	output_head(c->out, &list);
	for (unsigned i = 0; i < p->n; i++) {
		enum verdict v = verify_judge(&p->probes[i], p->settings);

		show(c->out, &p->probes[i], v);
		differs |= v == VERDICT_BAD;
		nothing |= v == VERDICT_BAD && p->probes[i].arrival == ARRIVED_NOWHERE;
	}
	if (nothing)
		output_line(c->out, "where nothing arrived, a packet filter may stand before the rules, or a rule leads nowhere: "
		    "see iptables-save, nft list ruleset");
	return differs;
}

/* ---- the command ---- */

static int take_user(const json_t *settings, const char *key, uid_t *uid_r, gid_t *gid_r)
{
	const struct passwd *pw = getpwnam(json_text(settings, key));

	if (pw == NULL) {
		ctl_complain("intercept verify: %s \"%s\": there is no such user", key, json_text(settings, key));
		return -1;
	}
	*uid_r = pw->pw_uid;
	*gid_r = pw->pw_gid;
	return 0;
}

static int take_settings(struct plan *p, const json_t *settings)
{
	*p = (struct plan){ .settings = settings, .caught.intercept = json_object_get(settings, "intercept") };
	if (!json_is_object(p->caught.intercept)) {
		ctl_complain("intercept verify: this meshd intercepts nothing: its configuration has no `intercept`");
		return -1;
	}
	if (take_user(settings, "user", &p->caught.worker_uid, &p->worker_gid) == -1 ||
	    take_user(settings, "agent_user", &p->caught.agent_uid, &p->agent_gid) == -1)
		return -1;
	plan_identity(p);
	return 0;
}

/* Where one port serves both directions, it is inbound what goes to an address of ours: the master hears of a new one. */
static void let_addresses_be_known(const struct plan *p)
{
	const struct timespec while_ = { .tv_nsec = 200000000 };

	if (json_number(p->caught.intercept, "inbound_port") == json_number(p->caught.intercept, "outbound_port"))
		nanosleep(&while_, NULL);
}

static int verify(struct ctl *c, struct plan *p, struct net *n, uint32_t timeout_ms)
{
	char name[IF_NAMESIZE];
	struct err e;
	int status;

	snprintf(name, sizeof(name), "meshdv0%d", (int)getpid());
	if (net_add_link(n, name, &e) == -1) {
		ctl_complain("intercept verify: %s", e.text);
		return 1;
	}
	plan_rows(p, n);
	let_addresses_be_known(p);
	status = send_all(c, p, n, timeout_ms) == -1 ? 1 : show_all(c, p);
	send_end(p);
	return status;
}

static void is_late(int number)
{
	static const char words[] = "meshctl: intercept verify: not done in time\n";

	(void)number;
	_exit(write(STDERR_FILENO, words, sizeof(words) - 1) > 0 ? 1 : 3);
}

static int verify_settings(struct ctl *c, const json_t *settings, uint32_t timeout_ms)
{
	static struct plan plan;
	struct net net;
	struct err e;
	int status;

	if (take_settings(&plan, settings) == -1)
		return 1;
	if (net_open(&net, &e) == -1) {
		ctl_complain("intercept verify: %s", e.text);
		return 1;
	}
	signal(SIGALRM, is_late);
	alarm(timeout_ms / 1000 + SET_UP_S);
	status = verify(c, &plan, &net, timeout_ms);
	net_close(&net);
	alarm(0);
	return status;
}

int command_intercept_verify(struct ctl *c)
{
	uint32_t timeout_ms = TIMEOUT_MS;
	json_t *settings;
	struct err e;
	int status;

	if (ctl_duration(c, "timeout", TIMEOUT_MOST_MS, &timeout_ms) == -1)
		return 2;
	if (geteuid() != 0) {
		ctl_complain("intercept verify: only root may send connections as meshd's users");
		return 1;
	}
	if ((settings = client_get(c->rundir, "/meshd/settings", &e)) == NULL) {
		ctl_complain("%s", e.text);
		return 1;
	}
	status = verify_settings(c, settings, timeout_ms);
	json_decref(settings);
	return status;
}
