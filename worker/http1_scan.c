/* The end of a head in pieces, each byte read once: see http1.h.  Line ends and control bytes are judged here, for all of it. */
#include "worker/http1_inside.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
	AT_BEGIN,			/* nothing yet, or an empty line before a request */
	AT_BEGIN_CR,
	IN_LINE,
	IN_LINE_CR,
	AT_LINE,			/* at a line that is not the first */
	AT_LINE_CR,
};

static bool is_plain(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

/* So many bytes from here on are not control bytes (HTAB is not counted as one, DEL is). */
static size_t plain(const char *at, size_t size)
{
	size_t n = 0;

#ifdef __SSE2__
	const __m128i last = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);

	for (; size - n >= 16; n += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(at + n));
		__m128i low = _mm_andnot_si128(_mm_cmpeq_epi8(v, tab), _mm_cmpeq_epi8(_mm_min_epu8(v, last), v));
		unsigned mask = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(v, del)));

		if (mask != 0)
			return n + (unsigned)__builtin_ctz(mask);
	}
#endif
	while (n < size && is_plain((unsigned char)at[n]))
		n++;
	return n;
}

/* The next byte, with which a run of plain ones in a line ends, or which is at the beginning of a line. */
static enum http1_bad step(struct http1_scan *s, unsigned char c, bool *over_r)
{
	switch (s->state) {
	case AT_BEGIN:
		if (c != '\r')
			return c == '\n' ? BAD_LINE_END : BAD_START_LINE;
		if (!s->request || s->lead != 0)
			return BAD_EMPTY_LINES;
		s->state = AT_BEGIN_CR;
		return HTTP1_OK;
	case IN_LINE:
		if (c != '\r')
			return c == '\n' || c == '\0' ? BAD_LINE_END : s->lined ? BAD_FIELD_VALUE : BAD_START_LINE;
		s->state = IN_LINE_CR;
		return HTTP1_OK;
	case AT_LINE:
		if (c != '\r')
			return c == '\n' || c == '\0' ? BAD_LINE_END : BAD_FIELD_NAME;
		s->state = AT_LINE_CR;
		return HTTP1_OK;
	}
	if (c != '\n')
		return BAD_LINE_END;
	if (s->state == AT_BEGIN_CR)
		s->lead = 2;
	s->lined = s->lined || s->state == IN_LINE_CR;
	*over_r = s->state == AT_LINE_CR;
	s->state = s->state == AT_BEGIN_CR ? AT_BEGIN : AT_LINE;
	return HTTP1_OK;
}

/* So many plain bytes may still come in this line. */
static size_t room(const struct http1_scan *s, const struct http1_limits *l)
{
	uint32_t bytes = s->bytes - s->lead, most = s->lined || l->line_bytes > l->head_bytes ? l->head_bytes : l->line_bytes;

	return bytes >= most ? 0 : most - bytes;
}

static enum http1_bad too_long(const struct http1_scan *s, const struct http1_limits *l)
{
	return s->request && !s->lined && l->line_bytes < l->head_bytes ? BAD_LINE_LONG : BAD_HEAD_LONG;
}

/* A line has begun: with anything but CR, and not with white space where a field would go on from the line before. */
static enum http1_bad begin_line(struct http1_scan *s, unsigned char c)
{
	if (s->state == AT_LINE && (c == ' ' || c == '\t'))
		return BAD_FOLD;
	s->state = IN_LINE;
	return HTTP1_OK;
}

enum http1_scanned http1_scan(struct http1_scan *s, const char *piece, size_t size, const struct http1_limits *l, size_t *used_r,
    enum http1_bad *bad_r)
{
	enum http1_bad bad = HTTP1_OK;
	bool over = false;
	size_t at = 0;

	while (at < size && bad == HTTP1_OK && !over) {
		unsigned char c = (unsigned char)piece[at];

		if ((s->state == AT_LINE || s->state == AT_BEGIN) && is_plain(c) && (bad = begin_line(s, c)) != HTTP1_OK)
			break;
		if (s->state == IN_LINE) {
			size_t most = room(s, l), n = plain(piece + at, size - at < most ? size - at : most);

			at += n;
			s->bytes += (uint32_t)n;
			if (at == size)
				break;
			c = (unsigned char)piece[at];
			if (is_plain(c)) {
				bad = too_long(s, l);
				break;
			}
		}
		if (s->bytes - s->lead >= l->head_bytes) {
			bad = BAD_HEAD_LONG;
			break;
		}
		bad = step(s, c, &over);
		at++;
		s->bytes++;
	}
	*used_r = at;
	*bad_r = bad;
	return bad != HTTP1_OK ? SCAN_BAD : over ? SCAN_HEAD : SCAN_MORE;
}

void http1_scan_trailers(struct http1_scan *s)
{
	*s = (struct http1_scan){ .state = AT_LINE, .lined = true };
}
