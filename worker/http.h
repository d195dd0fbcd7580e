/*
 * A message of HTTP, whichever version brought it: method or status, target, fields (RFC 9110).
 *
 * A head is one piece of bytes with offsets into it, so that it can be copied and `bytes` set anew.  Bytes and field array
 * belong to the caller and live as long as the head is used; nothing here allocates, nothing here fails.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method {
	METHOD_OTHER,			/* any other token: passed on as text */
	METHOD_GET,
	METHOD_HEAD,
	METHOD_POST,
	METHOD_PUT,
	METHOD_DELETE,
	METHOD_CONNECT,
	METHOD_OPTIONS,
	METHOD_TRACE,
	METHOD_PATCH,
	METHOD_COUNT
};

/* RFC 9112 3.2 */
enum http_form { FORM_ORIGIN, FORM_ABSOLUTE, FORM_AUTHORITY, FORM_ASTERISK };

/*
 * The fields that the proxy itself looks at, by number: a bit each in http_head.present.  Columns: number, name in lower
 * case, and whether it is of one connection only (RFC 9110 7.6.1: never passed on, what is needed is written anew).
 */
#define HTTP_FIELDS(X) \
	X(FIELD_HOST,			"host",				false) \
	X(FIELD_CONTENT_LENGTH,		"content-length",		false) \
	X(FIELD_TRANSFER_ENCODING,	"transfer-encoding",		true) \
	X(FIELD_CONNECTION,		"connection",			true) \
	X(FIELD_KEEP_ALIVE,		"keep-alive",			true) \
	X(FIELD_PROXY_CONNECTION,	"proxy-connection",		true) \
	X(FIELD_TE,			"te",				true) \
	X(FIELD_UPGRADE,		"upgrade",			true) \
	X(FIELD_HTTP2_SETTINGS,		"http2-settings",		true) \
	X(FIELD_TRAILER,		"trailer",			false) \
	X(FIELD_EXPECT,			"expect",			false) \
	X(FIELD_DATE,			"date",				false) \
	X(FIELD_SERVER,			"server",			false) \
	X(FIELD_VIA,			"via",				false) \
	X(FIELD_USER_AGENT,		"user-agent",			false) \
	X(FIELD_REFERER,		"referer",			false) \
	X(FIELD_COOKIE,			"cookie",			false) \
	X(FIELD_SET_COOKIE,		"set-cookie",			false) \
	X(FIELD_CONTENT_TYPE,		"content-type",			false) \
	X(FIELD_CONTENT_ENCODING,	"content-encoding",		false) \
	X(FIELD_CONTENT_RANGE,		"content-range",		false) \
	X(FIELD_AUTHORIZATION,		"authorization",		false) \
	X(FIELD_MAX_FORWARDS,		"max-forwards",			false) \
	X(FIELD_LOCATION,		"location",			false) \
	X(FIELD_RETRY_AFTER,		"retry-after",			false) \
	X(FIELD_X_REQUEST_ID,		"x-request-id",			false) \
	X(FIELD_X_FORWARDED_FOR,	"x-forwarded-for",		false) \
	X(FIELD_X_FORWARDED_PROTO,	"x-forwarded-proto",		false) \
	X(FIELD_X_FORWARDED_HOST,	"x-forwarded-host",		false) \
	X(FIELD_X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert",	false) \
	X(FIELD_X_ENVOY_UPSTREAM_SERVICE_TIME, "x-envoy-upstream-service-time", false) \
	X(FIELD_X_ENVOY_ATTEMPT_COUNT,	"x-envoy-attempt-count",	false) \
	X(FIELD_X_ENVOY_ORIGINAL_PATH,	"x-envoy-original-path",	false) \
	X(FIELD_X_ENVOY_OVERLOADED,	"x-envoy-overloaded",		false) \
	X(FIELD_X_ENVOY_INTERNAL,	"x-envoy-internal",		false) \
	X(FIELD_X_ENVOY_EXTERNAL_ADDRESS, "x-envoy-external-address",	false) \
	X(FIELD_X_ENVOY_DECORATOR_OPERATION, "x-envoy-decorator-operation", false) \
	X(FIELD_X_ENVOY_PEER_METADATA,	"x-envoy-peer-metadata",	false) \
	X(FIELD_X_ENVOY_PEER_METADATA_ID, "x-envoy-peer-metadata-id",	false)

enum http_field_id {
	FIELD_OTHER,
#define X(id, name, hop) id,
	HTTP_FIELDS(X)
#undef X
	FIELD_COUNT
};
_Static_assert(FIELD_COUNT <= 64, "the presence word has 64 bits");

struct http_span {
	const char *at;
	uint32_t len;
};

/* One field as it lies in http_head.bytes; the value is without the white space around it. */
struct http_field {
	uint32_t name, value;		/* offsets */
	uint32_t value_len;
	uint16_t name_len;
	uint8_t id;			/* enum http_field_id */
	bool gone;			/* not written: of this connection only, named by Connection, or taken out by a filter */
};

/* A field that is not in the head: added by the proxy.  Its bytes are the adder's, until the head is written. */
struct http_line {
	struct http_span name, value;
};

struct http_head {
	const char *bytes;		/* start line, fields, empty line */
	uint32_t size;
	uint64_t present;		/* 1 << id: there is such a field, gone or not */
	struct http_field *fields;	/* the caller's array */
	uint16_t count, room;		/* in it; it has place for */
	uint8_t minor;			/* the sender's version: 0 is HTTP/1.0, 1 is HTTP/1.1 (and any later 1.x) */
	/* of a request */
	uint8_t method, form;
	uint32_t method_at, method_len;
	uint32_t target_at, target_len;		/* as received */
	uint32_t path_at, path_len;		/* of the target without its query; may be empty: see http_path() */
	uint32_t query_len;			/* follows the path, with its '?'; 0: none */
	uint32_t authority_at, authority_len;	/* of the target where it has one, else Host's value; may be empty (1.0) */
	bool https;				/* absolute form with the scheme https */
	/* of a response */
	uint16_t status;
	uint32_t reason_at, reason_len;
};

/*
 * How a body is delimited (RFC 9112 6.3).  NONE: there is none, and no field that says so.  LENGTH may be 0.  CLOSE: the
 * connection's end ends it; responses only.  TOLD: there is none, but its length is told (answers to HEAD, 304).
 */
enum http_framing_kind { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_TOLD };
struct http_framing {
	enum http_framing_kind kind;
	uint64_t length;		/* of LENGTH and TOLD */
};

static inline bool http_has(const struct http_head *h, enum http_field_id id)
{
	return h->present >> id & 1;
}

static inline struct http_span http_text(const struct http_head *h, uint32_t at, uint32_t len)
{
	return (struct http_span){ h->bytes + at, len };
}

static inline struct http_span http_name(const struct http_head *h, const struct http_field *f)
{
	return http_text(h, f->name, f->name_len);
}

static inline struct http_span http_value(const struct http_head *h, const struct http_field *f)
{
	return http_text(h, f->value, f->value_len);
}

/* A token's byte (RFC 9110 5.6.2) in lower case; 0: not of a token. */
extern uint8_t http_token[256];

/* The first field with this number that is not gone, after `f` (NULL: from the start); NULL: none. */
struct http_field *http_find(const struct http_head *, enum http_field_id, struct http_field *f);
/* Takes all of them out. */
void http_drop(struct http_head *, enum http_field_id);
/* FIELD_OTHER: not one of the table's.  Case does not matter. */
enum http_field_id http_field_id(const char *name, size_t len);
/* Name of a number, in lower case; not of FIELD_OTHER. */
struct http_span http_field_name(enum http_field_id);
/* Path without query, as it is routed and sent: "/" (OPTIONS: "*") where an absolute form has none, RFC 9112 3.2.4; of CONNECT empty. */
struct http_span http_path(const struct http_head *);
static inline struct http_span http_query(const struct http_head *h)
{
	return http_text(h, h->path_at + h->path_len, h->query_len);
}
/* RFC 9110 15's words for a status; empty where it has none. */
struct http_span http_reason(unsigned status);
static inline struct http_span http_authority(const struct http_head *h)
{
	return http_text(h, h->authority_at, h->authority_len);
}
