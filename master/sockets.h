/*
 * Listening sockets: one for each worker and address (SO_REUSEPORT), so that the kernel spreads connections and a dead
 * worker's queue waits for its successor.  The master binds those of bound listeners, and of whatever appears after the
 * start; a worker binds the virtual ones at its first start and hands over a duplicate.  Only the master closes one for
 * good: closing resets what is queued, so it waits until no worker takes from it.
 */
#pragma once

#include "common/err.h"
#include "common/heritage.h"
#include "common/image.h"

#include <stdbool.h>
#include <stdint.h>

struct sockets;
struct spread;

/* spread: chooses the worker for each new connection, and outlives this; NULL: the kernel's hash does. */
struct sockets *sockets_open(uint32_t workers, const struct spread *spread, struct err *e);
/* Closes all: connections that come from now on are refused.  What workers hold themselves stays open. */
void sockets_let_go(struct sockets *);
void sockets_close(struct sockets **);

/*
 * Binds what this image names and nobody has bound yet; `virtual_too`: those of virtual listeners as well (after the
 * start).  `alone`: no worker of an earlier meshd may be there, so an address that another process listens at is refused,
 * though both would set SO_REUSEPORT.  *report grows by a line "file:line: listener NAME: address: reason" for each that fails.  -1: nothing changed.
 */
int sockets_prepare(struct sockets *, const struct image *, bool virtual_too, bool alone, struct err *report);
/* The image has become generation `number`: what was prepared is its, what it does not name waits to be closed.
 * sent: the generation that each worker was sent last. */
void sockets_commit(struct sockets *, const struct image *, uint64_t number, const uint64_t *sent);
/* It has not: what was prepared is closed. */
void sockets_abandon(struct sockets *);
/* Every worker uses this generation or a newer one. */
void sockets_settle(struct sockets *, uint64_t number);

/* A worker's duplicate of a virtual listener's socket: takes fd.  -1: not a listening socket that the image names. */
int sockets_keep(struct sockets *, uint32_t worker, const struct image *, int fd, struct err *e);

/* Every worker has its socket of each address now: new connections are spread over them. */
void sockets_spread(struct sockets *);

/* The descriptors of one worker's sockets, as gifts for its start; they count as sent.  Returns how many. */
int sockets_gifts(struct sockets *, uint32_t worker, struct heritage_gift *gifts, int most);
/* One that this worker has yet to be sent before it can adopt the newest generation.  -1: none. */
int sockets_unsent(struct sockets *, uint32_t worker);
void sockets_mark_sent(struct sockets *, uint32_t worker, int fd);
