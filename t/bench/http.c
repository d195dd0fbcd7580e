/* HTTP/1.1: requests, each for a body of its own, and the origin that has them all.  Both ends look at all that they get.
 *
 * A target is a letter (s: MESSAGE_BYTES, l: BODY_BYTES in the answer) and 16 digits, the word that says which bytes; they come
 * back as the answer's tag too, so that fields are known to pass.  A POST brings BODY_BYTES of its word. */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "load.h"

enum { WORD_DIGITS = 16, MOST_DESCRIPTORS = 16384 };

/* --- heads --- */

const char *
gather(struct gather *g, const char **bytes, size_t *n, size_t *head_n_r)
{
	const char *head = *bytes, *end = g->n == 0 ? memmem(*bytes, *n, "\r\n\r\n", 4) : NULL;
	size_t before = g->n, part = *n < HEAD_MOST - before ? *n : HEAD_MOST - before;

	if (end == NULL) {
		memcpy(g->bytes + before, *bytes, part);
		g->n += part;
		head = g->bytes;
		end = memmem(g->bytes, g->n, "\r\n\r\n", 4);
		if (end == NULL && g->n == HEAD_MOST)
			errx(1, "a head without an end: %.200s", g->bytes);
	}
	if (end == NULL) {
		*n = 0;
		return NULL;
	}
	g->n = 0;
	*head_n_r = end + 4 - head;
	*bytes += *head_n_r - before;
	*n -= *head_n_r - before;
	return head;
}

static _Noreturn void
refuse(const char *why, const char *head, size_t n)
{
	errx(1, "%s:\n%.*s", why, (int)n, head);
}

const char *
field_of(const char *head, size_t n, const char *name, size_t *length_r)
{
	size_t name_n = strlen(name);
	const char *value = NULL, *end = head + n - 2, *line = memchr(head, '\n', n);

	*length_r = 0;
	for (line++; line < end;) {
		const char *next = memchr(line, '\n', end - line);

		if (strncasecmp(line, name, name_n) == 0 && line[name_n] == ':') {
			if (value != NULL)
				refuse("a field twice", head, n);
			for (value = line + name_n + 1; *value == ' '; value++)
				;
			*length_r = next - 1 - value;
		}
		line = next + 1;
	}
	return value;
}

uint64_t
length_of(const char *head, size_t n)
{
	size_t digits;
	const char *value = field_of(head, n, "Content-Length", &digits);
	char *end;
	uint64_t length;

	if (value == NULL)
		return 0;
	length = strtoull(value, &end, 10);
	if (digits == 0 || end != value + digits || *value < '0' || *value > '9')
		refuse("not a length", head, n);
	return length;
}

static void
word_write(char *to, uint64_t word)
{
	for (int i = WORD_DIGITS - 1; i >= 0; i--, word >>= 4)
		to[i] = "0123456789abcdef"[word & 15];
}

/* --- the asking end --- */

#define FIELDS	"Host: bench.example\r\nUser-Agent: load/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
#define LENGTH	"Content-Length: 65536\r\n"
#define WORD	"0123456789abcdef"

static void
request_send(struct asker *a, const char *head, size_t head_n, size_t body_n)
{
	char sent[512];
	struct iovec iov[2] = { { sent, head_n }, { (char *)pattern_at(a->word), body_n } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = body_n == 0 ? 1 : 2 };

	memcpy(sent, head, head_n);
	word_write((char *)memchr(sent, '/', head_n) + 2, a->word);
	if (sendmsg(a->fd, &message, MSG_NOSIGNAL) != (ssize_t)(head_n + body_n))
		err(1, "connection %u: sending request %ju", a->id, (uintmax_t)a->sequence);
}

#define SEND(a, head, body_n)	request_send((a), (head), sizeof(head) - 1, (body_n))

static void
http_ask(struct asker *a)
{
	SEND(a, "GET /s" WORD " HTTP/1.1\r\n" FIELDS "\r\n", 0);
}

static void
http_ask_close(struct asker *a)
{
	SEND(a, "GET /s" WORD " HTTP/1.1\r\n" FIELDS "Connection: close\r\n\r\n", 0);
}

static void
http_ask_body(struct asker *a)
{
	SEND(a, "GET /l" WORD " HTTP/1.1\r\n" FIELDS "\r\n", 0);
}

static void
http_post(struct asker *a)
{
	SEND(a, "POST /s" WORD " HTTP/1.1\r\n" FIELDS LENGTH "\r\n", BODY_BYTES);
}

static void
answer_head(const struct asker *a, const char *head, size_t n, size_t body_n)
{
	static const char status[] = "HTTP/1.1 200 OK\r\n";
	char tag[WORD_DIGITS + 2] = "\"";
	size_t tag_n, coding_n;
	const char *its = field_of(head, n, "ETag", &tag_n);

	word_write(tag + 1, a->word);
	tag[WORD_DIGITS + 1] = '"';
	if (n < sizeof status || memcmp(head, status, sizeof status - 1) != 0)
		refuse("not this status", head, n);
	if (tag_n != sizeof tag || memcmp(its, tag, sizeof tag) != 0)
		refuse("the answer to another request", head, n);
	if (length_of(head, n) != body_n || field_of(head, n, "Transfer-Encoding", &coding_n) != NULL)
		refuse("not this length", head, n);
}

static bool
answer_take(struct asker *a, const char *bytes, size_t n, size_t body_n)
{
	size_t head_n;
	const char *head;

	if (!a->headed) {
		head = gather(&a->head, &bytes, &n, &head_n);
		if (head == NULL)
			return false;
		answer_head(a, head, head_n, body_n);
		a->headed = true;
	}
	if (n > body_n - a->have || memcmp(bytes, pattern_at(a->word) + a->have, n) != 0)
		errx(1, "connection %u: answer %ju has another body", a->id, (uintmax_t)a->sequence);
	a->have += n;
	return a->have == body_n;
}

static bool
http_take(struct asker *a, const char *bytes, size_t n)
{
	return answer_take(a, bytes, n, MESSAGE_BYTES);
}

static bool
http_take_body(struct asker *a, const char *bytes, size_t n)
{
	return answer_take(a, bytes, n, BODY_BYTES);
}

const struct speech speech_http = { "http", false, http_ask, http_take };
const struct speech speech_http_close = { "http-close", true, http_ask_close, http_take };
const struct speech speech_http_get = { "http-get", false, http_ask_body, http_take_body };
const struct speech speech_http_post = { "http-post", false, http_post, http_take };

/* --- the answering end --- */

struct request {
	struct gather head;
	uint64_t word;
	bool large, last;
	size_t body_n, have;	/* have: of the body; headed while body_n != 0 */
};

static void
request_head(struct request *r, const char *head, size_t n)
{
	bool post = memcmp(head, "POST /", 6) == 0;
	const char *target = head + (post ? 6 : 5);
	char *end;
	size_t length;
	const char *value;

	if (n < 40 || !(post || memcmp(head, "GET /", 5) == 0) || (*target != 's' && *target != 'l'))
		refuse("not this target", head, n);
	r->large = *target == 'l';
	r->word = strtoull(target + 1, &end, 16);
	if (end != target + 1 + WORD_DIGITS || memcmp(end, " HTTP/1.1\r\n", 11) != 0)
		refuse("not this version", head, n);
	r->have = 0;
	r->body_n = length_of(head, n);
	if (r->body_n != (post ? BODY_BYTES : 0) || field_of(head, n, "Transfer-Encoding", &length) != NULL)
		refuse("not this length", head, n);
	if (field_of(head, n, "Host", &length) == NULL || field_of(head, n, "User-Agent", &length) == NULL)
		refuse("a field is missing", head, n);
	value = field_of(head, n, "Connection", &length);
	r->last = value != NULL && length == 5 && strncasecmp(value, "close", 5) == 0;
}

static bool
request_answer(int fd, const struct request *r)
{
	char head[256] = "HTTP/1.1 200 OK\r\nServer: load\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
		"ETag: \"" WORD "\"\r\n";
	size_t n = strlen(head), body_n = r->large ? BODY_BYTES : MESSAGE_BYTES;
	struct iovec iov[2] = { { head, 0 }, { (char *)pattern_at(r->word), body_n } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	word_write(head + n - WORD_DIGITS - 3, r->word);
	strcpy(head + n, r->last ? "Connection: close\r\n" : "");
	strcat(head + n, r->large ? LENGTH "\r\n" : "Content-Length: 64\r\n\r\n");
	iov[0].iov_len = n + strlen(head + n);
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)(iov[0].iov_len + body_n) && !r->last;
}

/* What has come, requests and parts of them.  False: the connection has ended. */
static bool
requests_take(int fd, struct request *r, const char *bytes, size_t n)
{
	while (n > 0) {
		size_t head_n, part;
		const char *head;

		if (r->body_n == 0) {
			head = gather(&r->head, &bytes, &n, &head_n);
			if (head == NULL)
				return true;
			request_head(r, head, head_n);
		}
		part = n < r->body_n - r->have ? n : r->body_n - r->have;
		if (memcmp(bytes, pattern_at(r->word) + r->have, part) != 0)
			errx(1, "a request has another body");
		bytes += part, n -= part, r->have += part;
		if (r->have < r->body_n)
			return true;
		r->body_n = 0;
		if (!request_answer(fd, r))
			return false;
	}
	return true;
}

bool
serve_http(int fd)
{
	static struct request requests[MOST_DESCRIPTORS];
	static char buffer[READ_BYTES];
	struct request *r = &requests[fd];
	ssize_t n;

	if (fd >= MOST_DESCRIPTORS)
		return false;
	n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (n == -1 && errno == EAGAIN)
		return true;
	if (n > 0 && requests_take(fd, r, buffer, n))
		return true;
	r->head.n = r->body_n = 0;
	return false;
}
