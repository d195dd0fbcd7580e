/*
 * One direction of a stream: from the message as its sender frames it to the message as we frame it, under credit.
 *
 * What comes in one event is taken apart (its data lies where it was received) and put together again as a few pieces: head,
 * chunk size, data, end.  They are sent at once; what the sink does not take is copied to `kept`, and until that is gone
 * nothing more is taken.  A long body of known length goes by splice(2), past 256 KiB.  So a direction holds no more than one event's bytes: a receive buffer's, or the hot buffer's.
 */
#pragma once

#include "worker/http1.h"
#include "worker/http1_write.h"
#include "worker/inbuf.h"
#include "worker/pipes.h"

#include <sys/socket.h>
#include <sys/uio.h>

struct image_http;
struct stream;

enum { REQUEST, RESPONSE };	/* directions, as DOWNSTREAM and UPSTREAM, where they come from */

#define WAY_PIECES 6

struct way {
	struct stream *stream;
	struct http1_body body;		/* as its sender frames it */
	/* what is to be sent next, in memory of the arena, of the loan, or of the hot buffer */
	struct http_span head, data[2], end;
	int loan;			/* receive buffer with data; -1: none */
	char chunk[HTTP1_CHUNK_HEAD];
	/* what is being sent */
	struct iovec iov[WAY_PIECES];
	unsigned pieces;
	struct msghdr msg;
	struct inbuf kept;		/* what the sink has not taken yet */
	struct piping pipe;		/* while it is spliced */
	struct inbuf trailers;		/* as far as they have come */
	uint64_t bytes;			/* of the body, so far */
	uint32_t run;			/* bytes that were pumped, up to where it is spliced */
	uint8_t direction;
	uint8_t out;			/* enum http_framing_kind: as we frame it */
	bool begun : 1;			/* the head is out, or on its way */
	bool ended : 1;			/* the message has come as a whole */
	bool spliced : 1;		/* both transports are raw */
	bool sending : 1;		/* an operation holds its bytes */
	bool sending_kept : 1;		/* those of `kept` */
	bool bad : 1;			/* what comes cannot be read any more */
	bool broken : 1;		/* the sink takes nothing any more: what comes is thrown away */
};

void way_init(struct way *, struct stream *, unsigned direction);
/* The message's body is framed so, and goes on framed so. */
void way_begin(struct way *, struct http_framing in, enum http_framing_kind out);

/* The limits of what comes that way. */
struct http1_limits http_limits(const struct image_http *, unsigned direction);

/* Nothing waits to be sent: there is credit. */
static inline bool way_is_clear(const struct way *w)
{
	return !w->sending && w->kept.len == 0 && w->pipe.held == 0 && w->head.len == 0 && w->data[0].len == 0 && w->end.len == 0;
}

/* More may be taken; a head may wait to go with it. */
static inline bool way_has_credit(const struct way *w)
{
	return !w->sending && w->kept.len == 0 && w->pipe.held == 0 && w->data[0].len == 0 && w->end.len == 0;
}

/* The whole message is out. */
static inline bool way_is_over(const struct way *w)
{
	return w->ended && way_is_clear(w);
}

/* A head, or an interim one, in the arena. */
void way_put_head(struct way *, const char *bytes, size_t len);

/*
 * Takes a body's bytes apart, up to its end: *used_r.  There has to be credit.  `loan`: they lie in it, and it is the way's
 * now (*loan is -1) if there was data; NULL: they do not last, and what is in them is copied.
 */
enum http1_bad way_take(struct way *, char *bytes, size_t len, int *loan, size_t *used_r);
/* The source has ended: is the message whole?  HTTP1_OK: it is over. */
enum http1_bad way_source_ended(struct way *);

/* Sends what was put and taken, by the ring. */
void way_flush(struct way *);
/*
 * Takes more from the source than a receive buffer holds, while there is credit, and sends it by itself: long bodies.
 * Nothing of the source may be armed.  *rest_r: bytes of the hot buffer that are behind the end of the message.
 */
enum http1_bad way_pump(struct way *, struct http_span *rest_r);

/* OP_WRITTEN: what became of it. */
void way_written(struct way *, int res);
/* The sink can be written to again (where it is not the ring that waits). */
void way_writable(struct way *);

/* Gives back memory and loan.  Nothing of it may be in flight. */
void way_free(struct way *);
