/* Whose a connection is: see kin.h. */
#include "worker/kin.h"

#include "worker/generation.h"
#include "worker/listener.h"
#include "worker/worker.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum owner {
	OWNER_UNKNOWN,		/* no answer */
	OWNER_GONE,		/* there is no such socket: closed, or of another host */
	OWNER_OTHER,
	OWNER_OUTBOUND, OWNER_INBOUND,		/* sides of our own */
};

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 about;
};

union answer {
	struct nlmsghdr head;
	char bytes[1024];
};

static void set_ip(uint32_t to[4], const struct addr *a)
{
	if (a->family == AF_INET)
		memcpy(to, a->ip + 12, 4);
	else
		memcpy(to, a->ip, 16);
}

static int ask(struct worker *w, const struct addr *local, const struct addr *remote)
{
	struct question q = {
		.head = { .nlmsg_len = sizeof(q), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST,
		    .nlmsg_seq = ++w->kin.asked },
		.about = { .sdiag_family = local->family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = UINT32_MAX,
		    .id = { .idiag_sport = htons(local->port), .idiag_dport = htons(remote->port),
		    .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } },
	};

	set_ip(q.about.id.idiag_src, local);
	set_ip(q.about.id.idiag_dst, remote);
	return send(w->kin.fd, &q, sizeof(q), 0) == sizeof(q) ? 0 : -1;
}

/* The kernel answers within the question.  One that was not read then, for want of memory, may come before. */
static ssize_t hear(struct worker *w, union answer *a)
{
	ssize_t n;

	do
		n = recv(w->kin.fd, a, sizeof(*a), 0);
	while (n >= (ssize_t)NLMSG_HDRLEN && a->head.nlmsg_seq != w->kin.asked);
	return n >= (ssize_t)NLMSG_HDRLEN && a->head.nlmsg_len <= n ? (ssize_t)a->head.nlmsg_len : -1;
}

static bool is_marked_inbound(const char *attributes, size_t left)
{
	struct inet_diag_sockopt options;
	struct nlattr a;

	while (left >= sizeof(a)) {
		memcpy(&a, attributes, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > left)
			return false;
		if (a.nla_type == INET_DIAG_SOCKOPT && a.nla_len >= (size_t)NLA_HDRLEN + sizeof(options)) {
			memcpy(&options, attributes + NLA_HDRLEN, sizeof(options));
			return options.bind_address_no_port;
		}
		if ((size_t)NLA_ALIGN(a.nla_len) > left)
			return false;
		attributes += NLA_ALIGN(a.nla_len);
		left -= NLA_ALIGN(a.nla_len);
	}
	return false;
}

static enum owner owner_in(const struct worker *w, const union answer *a, size_t size)
{
	const struct inet_diag_msg *m = NLMSG_DATA(&a->head);
	const struct nlmsgerr *error = NLMSG_DATA(&a->head);

	if (a->head.nlmsg_type == NLMSG_ERROR && size >= NLMSG_LENGTH(sizeof(*error)))
		return error->error == -ENOENT ? OWNER_GONE : OWNER_UNKNOWN;
	if (a->head.nlmsg_type != SOCK_DIAG_BY_FAMILY || size < NLMSG_LENGTH(sizeof(*m)))
		return OWNER_UNKNOWN;
	if (m->idiag_inode == 0)	/* closed by its program, and not all is sent: nobody's any more */
		return OWNER_GONE;
	if (m->idiag_state == TCP_LISTEN || m->idiag_uid != w->kin.uid)
		return OWNER_OTHER;
	return is_marked_inbound((const char *)(m + 1), size - NLMSG_LENGTH(sizeof(*m))) ? OWNER_INBOUND : OWNER_OUTBOUND;
}

/* Of the socket at `local` that is connected to `remote`. */
static enum owner owner_of(struct worker *w, const struct addr *local, const struct addr *remote)
{
	union answer a;
	ssize_t size;

	if (local->family != remote->family || ask(w, local, remote) == -1 || (size = hear(w, &a)) == -1)
		return OWNER_UNKNOWN;
	return owner_in(w, &a, (size_t)size);
}

/* One that is there for certain: without it, "not there" would be what a kernel says that does not know how to look. */
static bool finds_a_listener(struct worker *w)
{
	const struct listener *l = w->listeners;

	return l == NULL || owner_of(w, &l->addr, &l->addr) == OWNER_OTHER;
}

void kin_open(struct worker *w)
{
	w->kin.uid = geteuid();
	if (w->kin.uid == 0)
		return;		/* nothing tells our sockets from those of others */
	w->kin.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	if (w->kin.fd != -1 && finds_a_listener(w))
		return;
	if (w->index == 0)
		log_warning("the kernel does not tell whose a connection is (CONFIG_INET_DIAG): one that rules send back to this "
		    "proxy is not refused");
	if (w->kin.fd != -1)
		close(w->kin.fd);
	w->kin.fd = -1;
}

void kin_mark_inbound(int fd)
{
	const int one = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
}

/* Nobody has its other end, and it has ended here as well: one of ours may have been reset on the way round. */
static bool is_over(int fd)
{
	uint8_t state = 0;
	socklen_t len = sizeof(state);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) == 0 && state == TCP_CLOSE;
}

static enum conn_end refuse(const struct arrival *a)
{
	static struct log_limit limit;
	struct worker *w = a->worker;
	uint32_t slot = image_slot(&a->generation->image, a->listener->name_index);
	char client[ADDR_STRLEN], to[ADDR_STRLEN];

	live_add(&live_row(&w->live, w->index, slot)->counter[LISTENER_C_cx_loop_refused], 1);
	log_limited(&limit, w->loop.now_ms, LOG_LEVEL_WARNING, "a connection of this proxy's own, from %s to %s, was led "
	    "back to it, and is refused: rules must leave alone what runs as \"user\"", addr_print(&a->client, client),
	    addr_print(&a->destination, to));
	return END_LOOP;
}

enum conn_end kin_refuses(const struct arrival *a)
{
	struct worker *w = a->worker;
	bool here = live_address_is_ours(&w->live, &a->client) || !live_knows_all_addresses(&w->live);
	bool disguised = a->inbound && image_settings(&a->generation->image)->intercept.mode == INTERCEPT_TPROXY;

	if (w->kin.fd == -1 || !(here || disguised))
		return END_NONE;
	switch (owner_of(w, &a->client, &a->destination)) {
	case OWNER_OUTBOUND:
		return a->inbound ? END_NONE : refuse(a);
	case OWNER_INBOUND:
		return refuse(a);
	case OWNER_GONE:
		return here && is_over(a->fd) ? END_DOWNSTREAM_RESET : END_NONE;
	case OWNER_UNKNOWN: case OWNER_OTHER:
		break;
	}
	return END_NONE;
}
