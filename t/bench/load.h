/* The two ends of a benchmark; load.c says what they do. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	MESSAGE_BYTES = 64,
	BODY_BYTES = 1 << 16,
	BLOCK_BYTES = 1 << 20,
	PATTERN_BYTES = 1048573,	/* a prime: no two blocks near each other are alike */
	MOST_CONNECTIONS = 4096,
	MOST_EVENTS = 128,
	READ_BYTES = 1 << 17,
};
#define WARM_UP_S	0.15

/* --- net.c: each of these ends the program when it fails --- */

double now_s(void);
struct sockaddr_in address_of(const char *address, const char *port);
int listen_on(const struct sockaddr_in *sin, int flags);
/* With SOCK_NONBLOCK the connection may still be on its way. */
int dial(const struct sockaddr_in *sin, int flags);
/* So that what is sent at once, one body and its head, always finds room. */
void room_for_bodies(int fd);
void watch(int epoll, int op, int fd, uint32_t events, uint32_t id);
int wait_events(int epoll, struct epoll_event *events, int timeout_ms);
/* All of both, however often it must be asked; iov changes.  Blocking sockets only. */
void send_both(int fd, struct iovec iov[2], const char *words);
/* What every body and block is made of: BLOCK_BYTES at least from each place. */
void pattern_fill(void);
const char *pattern_at(uint64_t sequence);

/* An asking end calls it between its warm-up and its measurement; then reports. */
struct mark {
	double at_s, cpu_s;
};
struct mark wait_for_go(void);
void report(const char *what, uint64_t n, const struct mark *begin);

/* --- messages.c: many connections, each with one message under way --- */

enum { HEAD_MOST = 4096 };
struct gather {			/* a head that did not come in one piece */
	size_t n;
	char bytes[HEAD_MOST];
};

struct asker {
	int fd;			/* -1: not connected */
	uint32_t id;
	uint64_t sequence, word;	/* the word tells this message from all others */
	size_t have;		/* bytes of the answer, or of its body */
	bool headed, whole;
	char sent[MESSAGE_BYTES];
	struct gather head;
};

struct speech {
	const char *name;
	bool close_each;		/* a connection for each message */
	void (*ask)(struct asker *a);
	/* Takes what has come; true when the answer is whole.  What is not as it must be ends the program. */
	bool (*take)(struct asker *a, const char *bytes, size_t n);
};
extern const struct speech speech_small, speech_close;

void run_messages(const struct sockaddr_in *to, const struct speech *speech, int connections, double seconds);
/* Serves for ever; serve() says false when the connection has ended. */
_Noreturn void serve_messages(int listener, bool (*serve)(int fd));
bool serve_echo(int fd);
bool serve_once(int fd);

/* --- http.c --- */

extern const struct speech speech_http, speech_http_close, speech_http_get, speech_http_post;

bool serve_http(int fd);
/* The end of a head, if it is there; what is behind it stays in bytes.  NULL: all was taken, and it goes on. */
const char *gather(struct gather *g, const char **bytes, size_t *n, size_t *head_n_r);
/* The value of a field that is there once; *length_r is 0 when it is not there.  Twice ends the program. */
const char *field_of(const char *head, size_t n, const char *name, size_t *length_r);
uint64_t length_of(const char *head, size_t n);

/* --- blocks.c: bulk, a thread for each connection --- */

struct transfer {
	int fd;
	double seconds;
	uint64_t bytes;
	void (*move)(struct transfer *t);
};
void upload(struct transfer *t);
void download(struct transfer *t);
void http_upload(struct transfer *t);
void http_download(struct transfer *t);

void run_blocks(const struct sockaddr_in *to, void (*move)(struct transfer *), int connections, double seconds);
_Noreturn void serve_blocks(int listener, void *(*serve)(void *));
void *serve_sink(void *arg);
void *serve_source(void *arg);
void *serve_http_blocks(void *arg);

#endif
