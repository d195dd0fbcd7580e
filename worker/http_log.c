/* A request's line in the access log: see http_log.h. */
#include "worker/http_log.h"

#include "worker/http_conn.h"
#include "worker/stream.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *flag, *details;
} ends[] = {
#define STREAM_END_ROW(name, status, flag, details, text) [name] = { flag, details },
	STREAM_ENDS(STREAM_END_ROW)
#undef STREAM_END_ROW
};

#define FIELD_BYTES 4096u	/* of one text of a client's: longer ones are cut */
#define TEXTS	    6

/* A text that a client has made: what would end its field or the line is written as \xNN. */
static char *put_text(char *at, struct http_span t)
{
	static const char hex[] = "0123456789ABCDEF";
	uint32_t len = t.len < FIELD_BYTES / 4 ? t.len : FIELD_BYTES / 4;

	if (len == 0)
		*at++ = '-';
	for (uint32_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)t.at[i];

		if (c >= 0x20 && c != 0x7f && c != '"') {
			*at++ = (char)c;
			continue;
		}
		*at++ = '\\';
		*at++ = 'x';
		*at++ = hex[c >> 4];
		*at++ = hex[c & 15];
	}
	return at;
}

static char *put_time(char *at, uint64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return at + sprintf(at, "[%04d-%02d-%02dT%02d:%02d:%02d.%03uZ] ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, (unsigned)(wall_ms % 1000));
}

static char *put_request(char *at, const struct stream *s)
{
	const struct http_head *h = &s->request;
	bool known = h->bytes != NULL && s->bad == HTTP1_OK;

	*at++ = '"';
	at = put_text(at, known ? http_text(h, h->method_at, h->method_len) : (struct http_span){ NULL, 0 });
	*at++ = ' ';
	at = put_text(at, !known ? (struct http_span){ NULL, 0 } : s->path.at != NULL ? s->path :
	    (struct http_span){ http_path(h).at, http_path(h).len + (http_path(h).at == h->bytes + h->path_at ? h->query_len : 0) });
	return at + sprintf(at, " %s\" ", known ? h->minor == 0 ? "HTTP/1.0" : "HTTP/1.1" : "-");
}

static const char *details_of(const struct stream *s)
{
	return s->end == STREAM_BAD ? http1_bads[s->bad].details : ends[s->end].details;
}

/* Up to what it has carried. */
static char *put_first(char *at, const struct stream *s)
{
	at = put_time(at, worker_wall_ms(s->worker, s->began_ms));
	at = put_request(at, s);
	return at + sprintf(at, "%u %s %s - \"%s\" ", s->status, ends[s->end].flag, details_of(s),
	    s->error != 0 ? strerrordesc_np(s->error) : "-");
}

/* From how long the endpoint took. */
static char *put_rest(char *at, const struct stream *s)
{
	char host[ADDR_STRLEN] = "-", up[ADDR_STRLEN] = "-", down[ADDR_STRLEN], client[ADDR_STRLEN], service[8] = "-";
	const struct worker *w = s->worker;
	const char *route = s->route != NULL ? image_text(&s->generation->image, s->route->name) : "";

	if (s->up.endpoint.family != 0)
		addr_print(&s->up.endpoint, host);
	if (s->local.family != 0)
		addr_print(&s->local, up);
	if (s->service_ms != UINT16_MAX)
		snprintf(service, sizeof(service), "%u", s->service_ms);
	at += sprintf(at, " %s \"", service);
	at = put_text(at, s->forwarded);
	at = stpcpy(at, "\" \"");
	at = put_text(at, s->agent);
	at = stpcpy(at, "\" \"");
	at = put_text(at, s->id);
	at = stpcpy(at, "\" \"");
	at = put_text(at, s->request.bytes != NULL && s->bad == HTTP1_OK ? http_authority(&s->request) : (struct http_span){ NULL, 0 });
	return at + sprintf(at, "\" \"%s\" %s %s %s %s - %s\n", host, slot_name(w, s->up.cluster_slot), up,
	    addr_print(&s->conn->head.destination, down), addr_print(&s->conn->head.client, client), *route != '\0' ? route : "-");
}

static char text[TEXTS * FIELD_BYTES + 2048];

void http_log(struct stream *s)
{
	char *at;

	if (!s->worker->log.on)
		return;
	at = put_first(text, s);
	at += sprintf(at, "%llu %llu %llu", (unsigned long long)s->way[REQUEST].bytes, (unsigned long long)s->way[RESPONSE].bytes,
	    (unsigned long long)(s->worker->loop.now_ms - s->began_ms));
	at = put_rest(at, s);
	accesslog_line(s->worker, text, (size_t)(at - text));
}

char *http_log_save(struct stream *s)
{
	char *at, *saved;

	if (!s->worker->log.on)
		return NULL;
	at = put_first(text, s);
	*at++ = '\0';
	at = put_rest(at, s);
	*at++ = '\0';
	if ((saved = malloc((size_t)(at - text))) != NULL)
		memcpy(saved, text, (size_t)(at - text));
	return saved;
}
