/* doctor: who listens on the ports that are meshd's. */
#include "common/addr.h"
#include "ctl/doctor.h"
#include "ctl/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_MAX     128
#define SOCKETS_MAX   4096		/* of a process; what listens comes first */
#define TCP_LISTENING 0x0a

struct port {
	unsigned number;
	const char *whose;		/* the listener's name */
	unsigned long stranger;		/* inode of a listening socket that is not meshd's; 0: none */
	struct process by;		/* pid 0: cannot be seen */
	unsigned uid;
	bool ours;
};

struct ports {
	struct port all[PORTS_MAX];
	unsigned n;
};

static void add(struct ports *p, unsigned number, const char *whose)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->all[i].number == number)
			return;
	}
	if (p->n < PORTS_MAX && number != 0)
		p->all[p->n++] = (struct port){ .number = number, .whose = whose };
}

static void add_binds(struct ports *p, const json_t *listener)
{
	const json_t *binds = json_object_get(listener, "binds");
	struct addr a;

	for (size_t i = 0; i < json_array_size(binds); i++) {
		const char *text = json_string_value(json_array_get(binds, i));

		if (text != NULL && addr_parse(text, &a) == 0)
			add(p, a.port, json_text(listener, "name"));
	}
}

static void collect(const struct doctor *d, struct ports *p)
{
	const json_t *l;
	size_t i;

	if (d->settings == NULL) {
		add(p, 15001, "virtualOutbound");
		add(p, 15006, "virtualInbound");
	}
	json_array_foreach(json_object_get(d->settings, "listeners"), i, l)
		add_binds(p, l);
}

/* ---- who has a socket ---- */

struct owner {
	unsigned long inode;
	bool among_ours;		/* looks at meshd's processes, else at all others */
	struct process found;		/* pid 0: nobody */
};

static bool has_it(void *arg, const struct process *p)
{
	static unsigned long inodes[SOCKETS_MAX];
	struct owner *o = arg;

	if (process_is_meshd(p) != o->among_ours)
		return false;
	for (unsigned i = process_sockets(p, inodes, SOCKETS_MAX); i > 0; i--) {
		if (inodes[i - 1] == o->inode)
			o->found = *p;
	}
	return o->found.pid != 0;
}

static void take_socket(const struct doctor *d, struct port *p, unsigned uid, unsigned long inode)
{
	struct owner o = { .inode = inode, .among_ours = true };

	processes_each(has_it, &o);
	/* without root who has it cannot be seen: of a meshd that runs it looks the same */
	if (o.found.pid != 0 || (d->runs && !d->root)) {
		p->ours = true;
		return;
	}
	o.among_ours = false;
	processes_each(has_it, &o);
	p->stranger = inode;
	p->by = o.found;
	p->uid = uid;
}

static void look_through(const struct doctor *d, struct ports *p, const char *table)
{
	unsigned port, state, uid;
	unsigned long inode;
	FILE *f = fopen(table, "re");
	char line[512];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		/* sl local remote st tx:rx tr:when retransmits uid timeout inode */
		if (sscanf(line, "%*s %*[0-9A-F]:%X %*s %X %*s %*s %*s %u %*s %lu", &port, &state, &uid, &inode) != 4 ||
		    state != TCP_LISTENING)
			continue;
		for (unsigned i = 0; i < p->n; i++) {
			if (p->all[i].number == port && p->all[i].stranger == 0)
				take_socket(d, &p->all[i], uid, inode);
		}
	}
	if (f != NULL)
		fclose(f);
}

static void say(struct doctor *d, const struct port *p)
{
	char name[32], remedy[160];

	snprintf(name, sizeof(name), "port %u", p->number);
	snprintf(remedy, sizeof(remedy), "stop it, or give meshd another port (of %.60s) in meshd.conf", p->whose);
	if (p->stranger != 0 && p->by.pid != 0)
		doctor_say(d, name, FINDING_BAD, remedy, "%s (pid %d) listens there", p->by.name, (int)p->by.pid);
	else if (p->stranger != 0)
		doctor_say(d, name, FINDING_BAD, remedy, "somebody listens there, of uid %u%s", p->uid,
		    d->root ? " and in another container" : ": root can see who");
	else if (p->ours && !d->root)
		doctor_say(d, name, FINDING_UNSEEN, "run it as root", "whether all that listen there are meshd's");
	else if (p->ours)
		doctor_say(d, name, FINDING_OK, NULL, "meshd listens there (%s)", p->whose);
	else
		doctor_say(d, name, FINDING_OK, NULL, "nobody listens there");
}

void doctor_ports(struct doctor *d)
{
	static struct ports p;

	p.n = 0;
	collect(d, &p);
	look_through(d, &p, "/proc/net/tcp");
	look_through(d, &p, "/proc/net/tcp6");
	for (unsigned i = 0; i < p.n; i++)
		say(d, &p.all[i]);
}
