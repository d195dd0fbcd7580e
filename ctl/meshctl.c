/* meshctl: shows and steers a running meshd.  The commands, each with its flags; what they do lies beside this file. */
#include "ctl/ctl.h"
#include "ctl/options.h"

#include <limits.h>
#include <signal.h>

static const struct flag stats_flags[] = {
	{ "nonzero", NULL, "leave out what is nought", false }, { 0 }
};
static const struct flag reload_flags[] = {
	{ "wait", NULL, "answer when every worker has adopted", false },
	{ "timeout", "TIME", "wait so long at most (default 30s)", false }, { 0 }
};
static const struct flag check_flags[] = {
	{ "I", "FOLDER", "files may be included from here too; may be repeated", true }, { 0 }
};
static const struct flag apply_flags[] = {
	{ "confirm", "TIME", "out again after it, whatever dies, unless confirmed", false },
	{ "force", NULL, "whatever rules are there already", false }, { 0 }
};
static const struct flag clear_flags[] = {
	{ "force", NULL, "those of a meshd that runs too, and of another network namespace's note", false }, { 0 }
};
static const struct flag listener_flags[] = {
	{ "address", "IP", "listeners at this address", false },
	{ "port", "PORT", "listeners at this port", false },
	{ "type", "TYPE", "listeners of this type: TCP, HTTP", false },
	{ "verbose", NULL, "a row for each filter chain (=false: for each listener)", false }, { 0 }
};
static const struct flag cluster_flags[] = {
	{ "fqdn", "TEXT", "clusters whose name contains this", false },
	{ "port", "PORT", "clusters of this port", false },
	{ "subset", "NAME", "clusters of this subset", false },
	{ "direction", "WORD", "inbound or outbound", false }, { 0 }
};
static const struct flag route_flags[] = {
	{ "name", "NAME", "the route configuration of this name", false },
	{ "verbose", NULL, "a row for each route (=false: for each route configuration)", false }, { 0 }
};
static const struct flag endpoint_flags[] = {
	{ "address", "IP", "endpoints at this address", false },
	{ "port", "PORT", "endpoints at this port", false },
	{ "status", "WORD", "healthy, unhealthy, ...", false },
	{ "cluster", "NAME", "endpoints of this cluster", false }, { 0 }
};
static const struct flag all_flags[] = {
	{ "verbose", NULL, "a row for each filter chain and route (=false: for each listener and route configuration)", false }, { 0 }
};
static const struct flag connections_flags[] = {
	{ "listener", "NAME", "of this listener", false },
	{ "chain", "NAME", "of this filter chain: LISTENER/CHAIN", false },
	{ "cluster", "NAME", "to this cluster", false },
	{ "endpoint", "NAME", "to this endpoint: ADDRESS:PORT, alone or after CLUSTER/", false },
	{ "worker", "N", "of this worker", false },
	{ "client", "ADDRESS", "from this address, ADDRESS:PORT or prefix", false },
	{ "older", "TIME", "open for at least so long", false },
	{ "kill", NULL, "end those that are shown, at once", false },
	{ "all", NULL, "with --kill and nothing else: all of them", false }, { 0 }
};
static const struct flag drain_flags[] = {
	{ "listener", "NAME", "of this listener", false },
	{ "chain", "NAME", "of this filter chain: LISTENER/CHAIN", false },
	{ "cluster", "NAME", "to this cluster", false },
	{ "endpoint", "NAME", "to this endpoint: CLUSTER/ADDRESS:PORT", false },
	{ "all", NULL, "all of them", false },
	{ "over", "TIME", "each ends at some moment within it (default 30s)", false }, { 0 }
};

static const struct command proxy_config[] = {
	{ "listener", "l", NULL, command_listener, NULL, 0, 0, listener_flags, "listeners and their filter chains" },
	{ "route", "r", NULL, command_route, NULL, 0, 0, route_flags, "route configurations, virtual hosts and routes" },
	{ "cluster", "c", NULL, command_cluster, NULL, 0, 0, cluster_flags, "clusters" },
	{ "endpoint", "ep", NULL, command_endpoint, NULL, 0, 0, endpoint_flags, "endpoints" },
	{ "all", "a", NULL, command_all, NULL, 0, 0, all_flags, "all of them" },
	{ 0 }
};

static const struct command connections[] = {
	{ "kill", NULL, NULL, command_connections_kill, "ID...", 1, INT_MAX, NULL, "end these, at once" },
	{ 0 }
};

static const struct flag verify_flags[] = {
	{ "timeout", "TIME", "wait so long at most for a probe (default 5s)", false }, { 0 }
};

static const struct command intercept[] = {
	{ "plan", NULL, NULL, command_intercept_plan, "[FILE]", 0, 1, check_flags, "the rules, each with its reason: of a file, or of the running meshd" },
	{ "apply", NULL, NULL, command_intercept_apply, NULL, 0, 0, apply_flags, "put the rules in" },
	{ "confirm", NULL, NULL, command_intercept_confirm, NULL, 0, 0, NULL, "rules that were applied with --confirm stay" },
	{ "status", NULL, NULL, command_intercept_status, NULL, 0, 0, NULL, "whose rules are in, since when, and what they have caught" },
	{ "verify", NULL, NULL, command_intercept_verify, NULL, 0, 0, verify_flags, "send probes through the rules" },
	{ "clear", NULL, NULL, command_intercept_clear, NULL, 0, 0, clear_flags, "take the rules out, whoever left them" },
	{ 0 }
};

static const struct command commands[] = {
	{ "status", NULL, NULL, command_status, NULL, 0, 0, NULL, "how meshd is, and what needs a look" },
	{ "stats", NULL, NULL, command_stats, "[FILTER]", 0, 1, stats_flags, "counters whose name matches (a regular expression)" },
	{ "connections", NULL, connections, command_connections, NULL, 0, 0, connections_flags, "open connections, the oldest first" },
	{ "proxy-config", "pc", proxy_config, NULL, NULL, 0, 0, NULL, "the configuration in use, as istioctl shows it" },
	{ "reload", NULL, NULL, command_reload, NULL, 0, 0, reload_flags, "read the configuration anew" },
	{ "check", NULL, NULL, command_check, "FILE", 1, 1, check_flags, "is this file a good configuration?" },
	{ "generations", NULL, NULL, command_generations, NULL, 0, 0, NULL, "configurations in use, and by which worker" },
	{ "drain", NULL, NULL, command_drain, NULL, 0, 0, drain_flags, "end connections, spread over a time" },
	{ "crashes", NULL, NULL, command_crashes, NULL, 0, 0, NULL, "reports of workers and agents that died" },
	{ "names", NULL, NULL, command_names, "listener|chain|cluster|endpoint", 1, 1, NULL, "what connections are chosen by" },
	{ "doctor", NULL, NULL, command_doctor, NULL, 0, 0, NULL, "is this host fit for meshd, and is there anything left over?" },
	{ "intercept", NULL, intercept, NULL, NULL, 0, 0, NULL, "the rules that catch traffic" },
	{ "version", NULL, NULL, command_version, NULL, 0, 0, NULL, "of meshctl and of meshd" },
	{ 0 }
};

static int help(const struct ctl *c)
{
	if (c->command != NULL)
		options_usage_of(stdout, c);
	else
		options_usage(stdout, commands);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *form;
	struct ctl c;
	int r = options_parse(&c, commands, &form, argc, argv);

	if (r == 1)
		return help(&c);
	if (r == -1) {
		if (c.command != NULL && c.command->flags != NULL)
			options_usage_of(stderr, &c);
		else if (c.command == NULL)
			options_usage(stderr, commands);
		return 2;
	}
	if ((c.out = output_open(form, stdout)) == NULL) {
		ctl_complain("-o %s: short, json or yaml is needed", form);
		return 2;
	}
	signal(SIGCHLD, SIG_DFL);	/* ignored by whoever started us, meshd-conf could not be waited for */
	r = c.command->run(&c);
	if (output_close(&c.out) == -1 && r == 0) {
		ctl_complain("not all could be printed: %m");
		r = 1;
	}
	return r;
}
