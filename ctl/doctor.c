/* doctor: see doctor.h. */
#include "ctl/doctor.h"

#include "ctl/client.h"
#include "ctl/processes.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const words[] = {
	[FINDING_OK] = "ok", [FINDING_UNSEEN] = "not seen", [FINDING_WARNING] = "warning", [FINDING_BAD] = "bad",
};

void doctor_say(struct doctor *d, const char *check, enum finding what, const char *remedy, const char *fmt, ...)
{
	char found[512], line[600];
	const char *cells[] = { words[what], check, found }, *more[] = { "", "", line };
	va_list ap;
	json_t *item;

	va_start(ap, fmt);
	vsnprintf(found, sizeof(found), fmt, ap);
	va_end(ap);
	output_row(d->ctl->out, cells);
	if (remedy != NULL) {
		snprintf(line, sizeof(line), "-> %s", remedy);
		output_row(d->ctl->out, more);
	}
	item = json_pack("{s:s, s:s, s:s, s:o}", "check", check, "result", words[what], "found", found,
	    "remedy", remedy != NULL ? json_string(remedy) : json_null());
	output_item(d->ctl->out, item);
	json_decref(item);
	d->count[what]++;
}

const char *doctor_setting(const struct doctor *d, const char *key, const char *otherwise)
{
	const char *text = json_text(d->settings, key);

	return *text != '\0' ? text : otherwise;
}

const json_t *doctor_intercept(const struct doctor *d)
{
	const json_t *i = json_object_get(d->settings, "intercept");

	return json_is_object(i) ? i : NULL;
}

bool doctor_read(const char *path, char *to, size_t room)
{
	FILE *f = fopen(path, "re");
	bool read = f != NULL && fgets(to, (int)room, f) != NULL;

	if (f != NULL)
		fclose(f);
	if (read)
		to[strcspn(to, "\n")] = '\0';
	return read;
}

long long doctor_number(const char *path)
{
	char text[64];

	return doctor_read(path, text, sizeof(text)) && isdigit((unsigned char)text[0]) ? strtoll(text, NULL, 10) : -1;
}

/* ---- the meshd that runs ---- */

/* 0: somebody listens there; else errno. */
static int try_socket(const char *rundir, const char *name)
{
	int fd = socket(AF_UNIX, (strcmp(name, CONTROL_SOCKET) == 0 ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0), code = 0;
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", rundir, name);
	if (fd == -1 || connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1)
		code = errno;
	if (fd != -1)
		close(fd);
	return code;
}

static bool is_worker_here(void *pid, const struct process *p)
{
	if (strcmp(p->name, "meshd-worker") != 0 || !process_shares_network(p))
		return false;
	*(pid_t *)pid = p->pid;
	return true;
}

/* Perhaps one that has its sockets elsewhere. */
static void look_for_another(struct doctor *d)
{
	pid_t pid = 0;

	processes_each(is_worker_here, &pid);
	d->runs = pid != 0;
	if (d->runs)
		doctor_say(d, "meshd", FINDING_WARNING, "name the folder of its sockets: meshctl -r FOLDER doctor",
		    "none answers at %s, but a worker runs, pid %d", d->ctl->rundir, (int)pid);
	else
		doctor_say(d, "meshd", FINDING_OK, NULL, "none runs at %s: defaults of meshd.conf(5) are assumed", d->ctl->rundir);
}

static void look_for_meshd(struct doctor *d, json_t **settings_r, json_t **status_r)
{
	int code = try_socket(d->ctl->rundir, ADMIN_SOCKET);
	struct err e;

	*settings_r = *status_r = NULL;
	d->runs = code == 0 || (code != ENOENT && code != ECONNREFUSED);
	if (!d->runs) {
		look_for_another(d);
		return;
	}
	if ((*settings_r = client_get(d->ctl->rundir, "/meshd/settings", &e)) == NULL ||
	    (*status_r = client_get(d->ctl->rundir, "/meshd/status", &e)) == NULL) {
		doctor_say(d, "meshd", code == EACCES || code == EPERM ? FINDING_UNSEEN : FINDING_WARNING,
		    code == EACCES || code == EPERM ? "run it as root or as a member of the admin_group" : "see meshd's log", "%s", e.text);
		return;
	}
	d->settings = *settings_r;
	d->status = *status_r;
	if (json_is_object(json_object_get(d->status, "orphaned")))
		doctor_say(d, "meshd", FINDING_BAD, "start it again: systemctl restart meshd", "its master is gone, workers serve on for a while");
	else
		doctor_say(d, "meshd", FINDING_OK, NULL, "%s runs, pid %lld", json_text(d->status, "version"),
		    (long long)json_number(d->status, "pid"));
}

/* ---- the command ---- */

static void sum_up(struct doctor *d)
{
	unsigned n = 0;
	char line[160];

	for (unsigned i = 0; i < FINDINGS; i++)
		n += d->count[i];
	snprintf(line, sizeof(line), "%u checks: %u bad, %u warning%s, %u not seen%s", n, d->count[FINDING_BAD],
	    d->count[FINDING_WARNING], d->count[FINDING_WARNING] == 1 ? "" : "s", d->count[FINDING_UNSEEN],
	    d->root || d->count[FINDING_UNSEEN] == 0 ? "" : " without root");
	output_line(d->ctl->out, line);
}

int command_doctor(struct ctl *c)
{
	static const char *const headings[] = { "RESULT", "CHECK", "FOUND", NULL };
	static const struct list list = { NULL, headings, 2 };
	static void (*const checks[])(struct doctor *) = {
		doctor_kernel, doctor_limits, doctor_users, doctor_ports, doctor_tables, doctor_features,
	};
	struct doctor d = { .ctl = c, .root = geteuid() == 0 };
	json_t *settings, *status;

	output_head(c->out, &list);
	look_for_meshd(&d, &settings, &status);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&d);
	sum_up(&d);
	json_decref(settings);
	json_decref(status);
	return d.count[FINDING_BAD] > 0;
}
