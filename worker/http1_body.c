/* Bodies as they come (RFC 9112 6 and 7): see http1.h. */
#include "worker/http1_inside.h"

enum {
	RAW,				/* LENGTH or CLOSE: data */
	SIZE_BEGIN,			/* of a chunk */
	SIZE,
	EXT,				/* after ';' */
	EXT_NAME,
	EXT_NAME_SPACE,			/* a word or string may be followed by white space, which is bad but to be parsed */
	EXT_EQUALS,
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_QUOTED_PAIR,
	EXT_END,			/* after a value */
	SIZE_LF,
	DATA,				/* of a chunk */
	DATA_CR,
	DATA_LF,
	TRAILER_BEGIN,
	TRAILER_NONE_LF,
	TRAILER,
	OVER,
};

void http1_body_begin(struct http1_body *b, struct http_framing framing)
{
	bool none = framing.kind == FRAMING_NONE || framing.kind == FRAMING_TOLD || (framing.kind == FRAMING_LENGTH && framing.length == 0);

	*b = (struct http1_body){
		.left = framing.kind == FRAMING_LENGTH ? framing.length : framing.kind == FRAMING_CLOSE ? UINT64_MAX : 0,
		.kind = (uint8_t)framing.kind,
		.state = none ? OVER : framing.kind == FRAMING_CHUNKED ? SIZE_BEGIN : RAW,
	};
}

bool http1_body_over(const struct http1_body *b)
{
	return b->state == OVER;
}

enum http1_bad http1_body_eof(const struct http1_body *b)
{
	return b->kind == FRAMING_CLOSE || b->state == OVER ? HTTP1_OK : BAD_CUT;
}

uint64_t http1_body_run(const struct http1_body *b)
{
	return b->state == RAW || b->state == DATA ? b->left : 0;
}

void http1_body_moved(struct http1_body *b, uint64_t bytes)
{
	if (b->kind == FRAMING_CLOSE)
		return;
	b->left -= bytes;
	if (b->left == 0)
		b->state = b->state == RAW ? OVER : DATA_CR;
}

static int hex(unsigned char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The line with a chunk's size is over.  Sizes are below HTTP1_LENGTH_MAX each, and a sum beyond it is nobody's body. */
static enum http1_bad begin_chunk(struct http1_body *b, const struct http1_limits *l)
{
	b->chunks += b->left;
	if (b->chunks > HTTP1_LENGTH_MAX || (l->body_bytes != 0 && b->chunks > l->body_bytes))
		return BAD_BODY_LONG;
	b->ext_chunk = 0;
	b->digits = 0;
	b->state = b->left > 0 ? DATA : TRAILER_BEGIN;
	if (b->state == TRAILER_BEGIN)
		http1_scan_trailers(&b->scan);
	return HTTP1_OK;
}

/* A byte after the ';' of an extension (RFC 9112 7.1.1), but the line's end.  What they mean is nobody's business here. */
static enum http1_bad ext_byte(struct http1_body *b, unsigned char c)
{
	bool space = c == ' ' || c == '\t';

	switch (b->state) {
	case EXT:
	case EXT_EQUALS:
		if (space)
			return HTTP1_OK;
		if (c == '"' && b->state == EXT_EQUALS)
			b->state = EXT_QUOTED;
		else if (http_token[c] != 0)
			b->state = b->state == EXT ? EXT_NAME : EXT_TOKEN;
		else
			return BAD_CHUNK_EXT;
		return HTTP1_OK;
	case EXT_NAME:
	case EXT_TOKEN:
		if (http_token[c] != 0)
			return HTTP1_OK;
		if (space || c == ';' || (c == '=' && b->state == EXT_NAME))
			b->state = c == '=' ? EXT_EQUALS : c == ';' ? EXT : b->state == EXT_NAME ? EXT_NAME_SPACE : EXT_END;
		else
			return BAD_CHUNK_EXT;
		return HTTP1_OK;
	case EXT_NAME_SPACE:
	case EXT_END:
		if (c == ';')
			b->state = EXT;
		else if (c == '=' && b->state == EXT_NAME_SPACE)
			b->state = EXT_EQUALS;
		else if (!space)
			return BAD_CHUNK_EXT;
		return HTTP1_OK;
	case EXT_QUOTED:
		if (c == '"' || c == '\\')
			b->state = c == '"' ? EXT_END : EXT_QUOTED_PAIR;
		break;
	default:
		b->state = EXT_QUOTED;
	}
	return c >= 0x20 || c == '\t' ? c != 0x7f ? HTTP1_OK : BAD_CHUNK_EXT : BAD_CHUNK_EXT;
}

/* Within an extension; it ends with the line after a name or a value. */
static enum http1_bad ext(struct http1_body *b, unsigned char c, const struct http1_limits *l)
{
	if (c == '\r' && (b->state == EXT_NAME || b->state == EXT_TOKEN || b->state == EXT_END)) {
		b->state = SIZE_LF;
		return HTTP1_OK;
	}
	if (++b->ext_chunk > l->ext_chunk || ++b->ext_body > l->ext_body)
		return BAD_CHUNK_EXT;
	return ext_byte(b, c);
}

/*
 * A byte of the line with a chunk's size.  No white space follows the size, though RFC 9112 7.1.1 lets a bad sender put some
 * before ';': recipients differ about it, and so do lengths.
 */
static enum http1_bad size_byte(struct http1_body *b, unsigned char c, const struct http1_limits *l)
{
	int digit = hex(c);

	if (digit >= 0) {
		if (b->left > HTTP1_LENGTH_MAX >> 4 || b->digits++ == 16)
			return BAD_CHUNK_SIZE;
		b->left = b->left << 4 | (unsigned)digit;
		b->state = SIZE;
		return HTTP1_OK;
	}
	if (b->state == SIZE_BEGIN || (c != ';' && c != '\r'))
		return BAD_CHUNK_SIZE;
	if (c == '\r') {
		b->state = SIZE_LF;
		return HTTP1_OK;
	}
	b->state = EXT;
	return ++b->ext_chunk > l->ext_chunk || ++b->ext_body > l->ext_body ? BAD_CHUNK_EXT : HTTP1_OK;
}

/* One byte of what is between data. */
static enum http1_bad between(struct http1_body *b, unsigned char c, const struct http1_limits *l)
{
	static const struct {
		char want;
		uint8_t next;
	} fixed[] = {
		[SIZE_LF] = { '\n', SIZE_LF }, [DATA_CR] = { '\r', DATA_LF }, [DATA_LF] = { '\n', SIZE_BEGIN },
		[TRAILER_NONE_LF] = { '\n', OVER },
	};

	switch (b->state) {
	case SIZE_BEGIN:
	case SIZE:
		return size_byte(b, c, l);
	case SIZE_LF:
	case DATA_CR:
	case DATA_LF:
	case TRAILER_NONE_LF:
		if (c != (unsigned char)fixed[b->state].want)
			return b->state == SIZE_LF ? BAD_CHUNK_SIZE : BAD_CHUNK_END;
		if (b->state == SIZE_LF)
			return begin_chunk(b, l);
		b->state = fixed[b->state].next;
		return HTTP1_OK;
	default:
		return ext(b, c, l);
	}
}

static enum http1_body_event data(struct http1_body *b, const char *at, size_t size, struct http_span *data_r)
{
	size_t n = size < b->left ? size : (size_t)b->left;

	if (n > UINT32_MAX)
		n = UINT32_MAX;
	*data_r = (struct http_span){ at, (uint32_t)n };
	http1_body_moved(b, n);
	return BODY_DATA;
}

static enum http1_body_event trailer(struct http1_body *b, const char *at, size_t size, const struct http1_limits *l, struct http_span *data_r,
    enum http1_bad *bad_r)
{
	size_t n;
	enum http1_scanned scanned = http1_scan(&b->scan, at, size, l, &n, bad_r);

	*data_r = (struct http_span){ at, (uint32_t)n };
	if (scanned == SCAN_BAD) {
		if (*bad_r == BAD_HEAD_LONG)
			*bad_r = BAD_TRAILER_LONG;
		return BODY_BAD;
	}
	if (scanned == SCAN_HEAD)
		b->state = OVER;
	return BODY_TRAILER;
}

enum http1_body_event http1_body_next(struct http1_body *b, const char *bytes, size_t size, const struct http1_limits *l, size_t *used_r,
    struct http_span *data_r, enum http1_bad *bad_r)
{
	enum http1_body_event event = BODY_MORE;
	size_t at = 0;

	while (b->state != OVER && at < size && event == BODY_MORE) {
		data_r->len = 0;
		if (b->state == RAW || b->state == DATA) {
			event = data(b, bytes + at, size - at, data_r);
		} else if (b->state == TRAILER) {
			event = trailer(b, bytes + at, size - at, l, data_r, bad_r);
		} else if (b->state == TRAILER_BEGIN) {
			b->state = bytes[at] == '\r' ? TRAILER_NONE_LF : TRAILER;
			at += bytes[at] == '\r';
		} else {
			*bad_r = between(b, (unsigned char)bytes[at++], l);
			event = *bad_r == HTTP1_OK ? BODY_MORE : BODY_BAD;
		}
		at += data_r->len;
	}
	*used_r = at;
	return event == BODY_MORE && b->state == OVER ? BODY_END : event;
}
