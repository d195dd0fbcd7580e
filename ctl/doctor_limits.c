/* doctor: limits of processes and of the kernel. */
#include "ctl/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_EACH    2		/* client and endpoint */
#define DESCRIPTORS_BESIDE  320		/* a worker's own, listeners, pipes */
#define DESCRIPTORS_WANTED  65536	/* where nothing limits connections; meshd raises its own limit so far */
#define BACKLOG_DEFAULT	    1024
#define LOCAL_PORTS_WANTED  20000
#define PIPE_PAGES_WANTED   16384	/* the kernel's own default: 64 pipes of 1 MiB */

static long long max_connections(const struct doctor *d)
{
	return json_number(d->settings, "max_connections");
}

/* In the worst case all connections are one worker's. */
static long long descriptors_wanted(const struct doctor *d)
{
	long long most = max_connections(d);

	return most > 0 ? most * DESCRIPTORS_EACH + DESCRIPTORS_BESIDE : DESCRIPTORS_WANTED;
}

/* ---- descriptors ---- */

/* Soft and hard, of a process.  False: cannot be seen. */
static bool limits_of(long long pid, long long *soft_r, long long *hard_r)
{
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/limits", pid);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "Max open files %lld %lld", soft_r, hard_r) == 2;
	fclose(f);
	return found;
}

/* What meshd would get if it were started from here: it raises its limit itself where it may. */
static void limits_here(long long *soft_r, long long *hard_r)
{
	const struct rlimit wanted = { DESCRIPTORS_WANTED, DESCRIPTORS_WANTED };
	struct rlimit rl;

	*soft_r = *hard_r = 0;
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		return;
	*soft_r = (long long)rl.rlim_cur;
	*hard_r = (long long)rl.rlim_max;
	if (rl.rlim_max < wanted.rlim_max && setrlimit(RLIMIT_NOFILE, &wanted) == 0) {
		*hard_r = (long long)wanted.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void check_descriptors(struct doctor *d)
{
	const json_t *worker = json_array_get(json_object_get(d->status, "workers"), 0);
	long long soft, hard, has, wanted = descriptors_wanted(d), pid = json_number(worker, "pid");
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "LimitNOFILE=%lld in the unit (systemctl edit meshd), or ulimit -Hn where there is none", wanted);
	if (pid != 0 && !limits_of(pid, &soft, &hard)) {
		doctor_say(d, "descriptors", FINDING_UNSEEN, "run it as root", "the limits of the workers");
		return;
	}
	if (pid == 0)
		limits_here(&soft, &hard);
	has = pid != 0 ? soft : hard;
	doctor_say(d, "descriptors", has < wanted ? FINDING_WARNING : FINDING_OK, has < wanted ? remedy : NULL,
	    "%s: soft %lld, hard %lld; %lld are wanted%s", pid != 0 ? "of a worker" : "of what is started from here", soft, hard,
	    wanted, max_connections(d) > 0 ? " for max_connections" : "");
}

static void check_nr_open(struct doctor *d)
{
	long long n = doctor_number("/proc/sys/fs/nr_open"), wanted = descriptors_wanted(d);
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "sysctl -w fs.nr_open=%lld, and a file in /etc/sysctl.d", wanted);
	if (n == -1)
		doctor_say(d, "fs.nr_open", FINDING_UNSEEN, "see sysctl fs.nr_open", "the most descriptors that a process can have");
	else
		doctor_say(d, "fs.nr_open", n < wanted ? FINDING_WARNING : FINDING_OK, n < wanted ? remedy : NULL, "%lld", n);
}

/* ---- queues ---- */

static long long greatest_backlog(const struct doctor *d)
{
	const json_t *listeners = json_object_get(d->settings, "listeners"), *l;
	long long most = 0;
	size_t i;

	json_array_foreach(listeners, i, l) {
		if (json_number(l, "tcp_backlog_size") > most)
			most = json_number(l, "tcp_backlog_size");
	}
	return most > 0 ? most : BACKLOG_DEFAULT;
}

static void check_queues(struct doctor *d)
{
	long long accepts = doctor_number("/proc/sys/net/core/somaxconn"), syns = doctor_number("/proc/sys/net/ipv4/tcp_max_syn_backlog");
	long long cookies = doctor_number("/proc/sys/net/ipv4/tcp_syncookies"), wanted = greatest_backlog(d);
	bool short_of_syns = syns < wanted && cookies == 0;
	char remedy[128];

	snprintf(remedy, sizeof(remedy), "sysctl -w net.core.somaxconn=%lld, and a file in /etc/sysctl.d", wanted);
	doctor_say(d, "somaxconn", accepts < wanted ? FINDING_WARNING : FINDING_OK, accepts < wanted ? remedy : NULL,
	    "%lld; listeners ask for %lld", accepts, wanted);
	doctor_say(d, "SYN queue", short_of_syns ? FINDING_WARNING : FINDING_OK,
	    short_of_syns ? "sysctl -w net.ipv4.tcp_syncookies=1, or a greater net.ipv4.tcp_max_syn_backlog" : NULL,
	    "net.ipv4.tcp_max_syn_backlog = %lld, SYN cookies are %s", syns, cookies == 0 ? "off" : "on");
}

/* ---- ports ---- */

static bool is_reserved(long long port)
{
	char text[4096], *rest = text, *word;
	long long first, last;

	if (!doctor_read("/proc/sys/net/ipv4/ip_local_reserved_ports", text, sizeof(text)))
		return false;
	while ((word = strsep(&rest, ",")) != NULL) {
		int n = sscanf(word, "%lld-%lld", &first, &last);

		if ((n == 1 && first == port) || (n == 2 && first <= port && port <= last))
			return true;
	}
	return false;
}

/* One of ours that the kernel may give to a connection. */
static bool has_own_port(const struct doctor *d, long long first, long long last, long long *port_r)
{
	static const struct { const char *key; long long otherwise; } ports[] = {
		{ "outbound_port", 15001 }, { "inbound_port", 15006 },
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		*port_r = json_number(doctor_intercept(d), ports[i].key);
		if (*port_r == 0)
			*port_r = ports[i].otherwise;
		if (first <= *port_r && *port_r <= last && !is_reserved(*port_r))
			return true;
	}
	return false;
}

static void check_local_ports(struct doctor *d)
{
	long long first = 0, last = -1, port;
	char text[64], remedy[128];

	if (!doctor_read("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)) || sscanf(text, "%lld %lld", &first, &last) != 2) {
		doctor_say(d, "local ports", FINDING_UNSEEN, "see sysctl net.ipv4.ip_local_port_range", "how many there are");
		return;
	}
	if (has_own_port(d, first, last, &port)) {
		snprintf(remedy, sizeof(remedy), "sysctl -w net.ipv4.ip_local_reserved_ports=%lld, and a file in /etc/sysctl.d", port);
		doctor_say(d, "local ports", FINDING_WARNING, remedy, "%lld to %lld: a connection may take our port %lld while meshd is down",
		    first, last, port);
	} else if (last - first + 1 < LOCAL_PORTS_WANTED) {
		doctor_say(d, "local ports", FINDING_WARNING, "sysctl -w net.ipv4.ip_local_port_range=\"32768 60999\" or wider; or more "
		    "intercept.inbound_sources", "%lld to %lld: so many connections to one endpoint, %lld", first, last, last - first + 1);
	} else {
		doctor_say(d, "local ports", FINDING_OK, NULL, "%lld to %lld", first, last);
	}
}

static void check_pipes(struct doctor *d)
{
	long long pages = doctor_number("/proc/sys/fs/pipe-user-pages-soft");
	bool few = pages > 0 && pages < PIPE_PAGES_WANTED;

	doctor_say(d, "pipes", few ? FINDING_WARNING : FINDING_OK,
	    few ? "sysctl -w fs.pipe-user-pages-soft=16384 or more (0: no limit): else less is spliced" : NULL,
	    "fs.pipe-user-pages-soft = %lld: %s", pages, pages == 0 ? "no limit" : few ? "few pipes of full size" : "enough");
}

/* ---- the unit ---- */

/* "/system.slice/meshd.service": cgroup v2. */
static bool unit_of(long long pid, char *to, size_t room)
{
	char path[64], line[512];
	size_t n;

	snprintf(path, sizeof(path), "/proc/%lld/cgroup", pid);
	if (!doctor_read(path, line, sizeof(line)) || strncmp(line, "0::/", 4) != 0)
		return false;
	n = strlen(line);
	if (n < 8 || strcmp(line + n - 8, ".service") != 0)
		return false;
	snprintf(to, room, "%s", line + 3);
	return true;
}

/* -1: none, "max". */
static long long cgroup_number(const char *unit, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", unit, name);
	return doctor_number(path);
}

static void check_unit(struct doctor *d)
{
	long long pid = json_number(d->status, "pid"), workers = (long long)json_array_size(json_object_get(d->status, "workers"));
	long long memory, tasks;
	char unit[512], remedy[160];
	const char *name;

	if (pid == 0 || !unit_of(pid, unit, sizeof(unit)))
		return;
	name = strrchr(unit, '/') + 1;
	memory = cgroup_number(unit, "memory.max");
	tasks = cgroup_number(unit, "pids.max");
	if (memory != -1 && memory < (64 << 20)) {
		snprintf(remedy, sizeof(remedy), "MemoryMax=infinity, or more than 64M, in %.100s (systemctl edit)", name);
		doctor_say(d, "unit", FINDING_WARNING, remedy, "%s: MemoryMax is %lld MiB", name, memory >> 20);
	} else if (tasks != -1 && tasks < workers + 16) {
		snprintf(remedy, sizeof(remedy), "TasksMax=%lld in %.100s (systemctl edit)", workers + 64, name);
		doctor_say(d, "unit", FINDING_WARNING, remedy, "%s: TasksMax is %lld, for %lld workers and what is started beside them",
		    name, tasks, workers);
	} else {
		doctor_say(d, "unit", FINDING_OK, NULL, "%s: its limits are wide enough", name);
	}
}

void doctor_limits(struct doctor *d)
{
	check_descriptors(d);
	check_nr_open(d);
	check_queues(d);
	check_local_ports(d);
	check_pipes(d);
	check_unit(d);
}
