/* Asking the agent and the master: see client.h. */
#include "ctl/client.h"

#include "common/wire.h"

#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 30)
#define ANSWER_SECONDS 10L	/* so long the watchdog lets an agent be silent */

static int cannot_connect(const char *rundir, const char *socket_name, int code, struct err *e)
{
	if (code == EACCES || code == EPERM)
		return err_set(e, "%s/%s: %s: only root and members of the group that `admin_group` names (meshd-admin) may "
		    "talk to meshd", rundir, socket_name, strerror(code));
	return err_set(e, "no meshd at %s: %s: %s", rundir, socket_name, strerror(code));
}

/* ---- the agent ---- */

struct answer {
	char *bytes;
	size_t used;
};

static size_t gather(char *from, size_t one, size_t n, void *arg)
{
	struct answer *a = arg;
	char *more;

	n *= one;
	if (a->used + n > ANSWER_MAX || (more = realloc(a->bytes, a->used + n + 1)) == NULL)
		return 0;
	a->bytes = more;
	memcpy(more + a->used, from, n);
	a->used += n;
	more[a->used] = '\0';
	return n;
}

static json_t *parse(const struct answer *a, long status, struct err *e)
{
	json_error_t where;
	json_t *j;

	if (status != 200) {
		err_set(e, "%.*s", a->used > 0 ? (int)strcspn(a->bytes, "\n") : 0, a->used > 0 ? a->bytes : "");
		if (e->text[0] == '\0')
			err_set(e, "meshd answers with status %ld", status);
		return NULL;
	}
	if ((j = json_loadb(a->bytes != NULL ? a->bytes : "", a->used, JSON_REJECT_DUPLICATES, &where)) == NULL)
		err_set(e, "meshd's answer is not JSON: %s", where.text);
	return j;
}

static int perform(CURL *curl, const char *rundir, long *status_r, struct err *e)
{
	char words[CURL_ERROR_SIZE] = "";
	CURLcode code;
	long os_error = 0;

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	code = curl_easy_perform(curl);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status_r);
	if (code == CURLE_OK)
		return 0;
	if (code == CURLE_COULDNT_CONNECT && os_error != 0)
		return cannot_connect(rundir, ADMIN_SOCKET, (int)os_error, e);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(e, "%s/%s: the agent does not answer", rundir, ADMIN_SOCKET);
	return err_set(e, "%s/%s: %s", rundir, ADMIN_SOCKET, words[0] != '\0' ? words : curl_easy_strerror(code));
}

json_t *client_get(const char *rundir, const char *target, struct err *e)
{
	struct answer answer = { NULL, 0 };
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)], url[2048];
	json_t *j = NULL;
	long status = 0;
	CURL *curl;

	if (snprintf(path, sizeof(path), "%s/%s", rundir, ADMIN_SOCKET) >= (int)sizeof(path)) {
		err_set(e, "%s: too long for a socket's path", rundir);
		return NULL;
	}
	if (snprintf(url, sizeof(url), "http://meshd%s", target) >= (int)sizeof(url)) {
		err_set(e, "the request is too long");
		return NULL;
	}
	if ((curl = curl_easy_init()) == NULL) {
		err_set(e, "libcurl does not start");
		return NULL;
	}
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");		/* whatever http_proxy says */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	if (perform(curl, rundir, &status, e) == 0)
		j = parse(&answer, status, e);
	curl_easy_cleanup(curl);
	free(answer.bytes);
	return j;
}

char *client_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0), *copy = escaped != NULL ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}

/* ---- the master ---- */

static int connect_master(const char *rundir, int *fd_r, struct err *e)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, code;

	if (snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s", rundir, CONTROL_SOCKET) >= (int)sizeof(un.sun_path))
		return err_set(e, "%s: too long for a socket's path", rundir);
	if ((fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) == -1)
		return err_set(e, "socket: %m");
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == -1) {
		code = errno;
		close(fd);
		cannot_connect(rundir, CONTROL_SOCKET, code, e);
		errno = code;
		return -1;
	}
	*fd_r = fd;
	return 0;
}

static int converse(int fd, const struct control_request *q, int wait_ms, struct control_reply *r, int *text_fd_r,
    struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	/* EPIPE: who is not allowed gets his answer unasked. */
	if (record_send(fd, q, sizeof(*q), -1) == -1 && errno != EPIPE)
		return err_set(e, "%s: %m", CONTROL_SOCKET);
	do
		n = poll(&p, 1, wait_ms);
	while (n == -1 && errno == EINTR);
	if (n == 0)
		return err_set(e, "no answer from meshd within %d s", wait_ms / 1000);
	n = record_receive(fd, r, sizeof(*r), text_fd_r);
	/* A peer that closed without reading the request: its reset is reported once, ahead of what it sent. */
	if (n == 0)
		n = record_receive(fd, r, sizeof(*r), text_fd_r);
	if (n == 0)
		return err_set(e, "meshd ended without an answer");
	if (n == -1)
		return err_set(e, "%s: %m", CONTROL_SOCKET);
	if (r->magic != CONTROL_MAGIC) {
		if (*text_fd_r != -1)
			close(*text_fd_r);
		return err_set(e, "%s: not an answer of meshd", CONTROL_SOCKET);
	}
	r->text[sizeof(r->text) - 1] = '\0';
	return 0;
}

int client_ask_master(const char *rundir, const struct control_request *q, int wait_ms, struct control_reply *r,
    int *text_fd_r, struct err *e)
{
	int fd = -1, result;

	*text_fd_r = -1;
	if (connect_master(rundir, &fd, e) == -1)
		return -1;
	result = converse(fd, q, wait_ms, r, text_fd_r, e);
	close(fd);
	return result;
}
