/* HTTP on the admin socket: see admin.h. */
#include "agent/admin.h"

#include "agent/answers.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX		32u
#define CONNECTION_BYTES	16384u		/* head of a request and buffers; an answer's body lies beside it */
#define CONNECTION_SECONDS	10u
#define TRIM_BYTES		(1u << 20)	/* of answers, after which memory goes back to the system */

struct admin {
	const struct agent *agent;
	struct MHD_Daemon *daemon;
	int fd;				/* of epoll(7), the daemon's */
	size_t answered;		/* bytes since memory was last given back */
	bool trim;			/* much of it has been sent */
};

#define TEXT "text/plain; charset=UTF-8"
#define JSON "application/json"

static const struct path {
	const char *name;
	answer_fn *answer;
	const char *type;		/* without ?format=json */
} paths[] = {
	{ "/clusters", answer_clusters, TEXT },
	{ "/config_dump", answer_config_dump, JSON },
	{ "/meshd/generations", answer_generations, JSON },
	{ "/meshd/names", answer_names, JSON },
	{ "/meshd/settings", answer_settings, JSON },
	{ "/meshd/status", answer_status, JSON },
	{ "/meshd/version", answer_version, JSON },
	{ "/ready", answer_ready, TEXT },
	{ "/server_info", answer_server_info, JSON },
	{ "/stats", answer_stats, TEXT },
};

#define NPATHS (sizeof(paths) / sizeof(paths[0]))

/* "/" and what is not known: what there is. */
static unsigned list_paths(const char *path, FILE *out)
{
	bool root = strcmp(path, "/") == 0;

	if (!root)
		fputs("no such path; there are:\n", out);
	for (size_t i = 0; i < NPATHS; i++)
		fprintf(out, "%s\n", paths[i].name);
	return root ? 200 : 404;
}

static const struct path *find_path(const char *name)
{
	for (size_t i = 0; i < NPATHS; i++) {
		if (strcmp(paths[i].name, name) == 0)
			return &paths[i];
	}
	return NULL;
}

unsigned admin_answer(const struct agent *a, const char *path, const struct query *q, char **body_r, size_t *size_r,
    const char **type_r)
{
	const struct path *p = find_path(path);
	FILE *out = open_memstream(body_r, size_r);
	unsigned status;
	bool whole;

	*type_r = TEXT;
	if (out == NULL) {
		*body_r = NULL;
		*size_r = 0;
		return 500;
	}
	status = p == NULL ? list_paths(path, out) : p->answer(a, q, out);
	if (status == 200 && p != NULL)
		*type_r = q->json ? JSON : p->type;
	whole = ferror(out) == 0;
	return fclose(out) == 0 && whole ? status : 500;
}

/* ---- between libmicrohttpd and that ---- */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned status, char *body, size_t size, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (r == NULL) {
		free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static bool has_argument(struct MHD_Connection *c, const char *key, const char **value_r)
{
	size_t n;

	return MHD_lookup_connection_value_n(c, MHD_GET_ARGUMENT_KIND, key, strlen(key), value_r, &n) == MHD_YES;
}

static struct query query_of(struct MHD_Connection *c)
{
	struct query q = { 0 };
	const char *value = NULL;

	if (has_argument(c, "filter", &value))
		q.filter = value;
	q.json = has_argument(c, "format", &value) && value != NULL && strcmp(value, "json") == 0;
	q.used_only = has_argument(c, "usedonly", &value);
	return q;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **seen)
{
	struct admin *admin = arg;
	struct query q;
	const char *type;
	unsigned status;
	size_t size;
	char *body;

	(void)version;
	(void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return respond(c, MHD_HTTP_METHOD_NOT_ALLOWED, strdup("GET only\n"), 9, TEXT);
	if (*seen == NULL) {
		*seen = arg;		/* the head; an answer comes with the end of the request */
		return MHD_YES;
	}
	if (*upload_size != 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	q = query_of(c);
	status = admin_answer(admin->agent, url, &q, &body, &size, &type);
	admin->answered += size;
	return respond(c, status, body, size, type);
}

static void completed(void *arg, struct MHD_Connection *c, void **seen, enum MHD_RequestTerminationCode why)
{
	struct admin *admin = arg;

	(void)c;
	(void)seen;
	(void)why;
	admin->trim = admin->answered >= TRIM_BYTES;
}

static void quiet(void *arg, const char *fmt, va_list ap)
{
	(void)arg;			/* a client that went away is no news */
	(void)fmt;
	(void)ap;
}

int admin_open(const struct agent *a, int listen_fd, struct admin **admin_r, struct err *e)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	const union MHD_DaemonInfo *info;

	if (admin == NULL || fcntl(listen_fd, F_SETFL, O_NONBLOCK) == -1) {
		err_set(e, "admin socket: %m");
		close(listen_fd);
		free(admin);
		return -1;
	}
	admin->agent = a;
	admin->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, admin,
	    MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS,
	    MHD_OPTION_NOTIFY_COMPLETED, completed, admin, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (admin->daemon == NULL) {
		close(listen_fd);
		free(admin);
		return err_set(e, "admin socket: libmicrohttpd does not start");
	}
	info = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	admin->fd = info->epoll_fd;
	*admin_r = admin;
	return 0;
}

int admin_fd(const struct admin *admin)
{
	return admin->fd;
}

int admin_timeout_ms(const struct admin *admin)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(admin->daemon, &ms) != MHD_YES)
		return -1;
	return ms > 60000 ? 60000 : (int)ms;
}

static unsigned connections_of(const struct admin *admin)
{
	return MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

void admin_step(struct admin *admin)
{
	bool full = connections_of(admin) >= CONNECTIONS_MAX;

	MHD_run(admin->daemon);
	/* While it is full the listening socket is not waited for, and it is only taken back at the begin of a run: were
	 * this the last one for now, nobody would ever be let in again. */
	if (full && connections_of(admin) < CONNECTIONS_MAX)
		MHD_run(admin->daemon);
	if (!admin->trim)
		return;
	/* A dump of a large mesh is many times what the agent needs otherwise, and seldom asked for. */
	admin->trim = false;
	admin->answered = 0;
	malloc_trim(0);
}

void admin_close(struct admin **admin)
{
	if (*admin == NULL)
		return;
	MHD_stop_daemon((*admin)->daemon);
	free(*admin);
	*admin = NULL;
}
