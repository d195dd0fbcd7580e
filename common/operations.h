/*
 * What a worker waits for from the kernel, once: enum op_kind (worker/loop.h) and the words that a crash report has
 * for the last of them.  X(enum name, words)
 */
#pragma once

#define OPERATIONS(X)							\
	X(OP_NONE, "none")		/* nobody waits for it (cancels) */	\
	X(OP_ACCEPT, "accept")						\
	X(OP_LISTEN_READY, "listener readable")				\
	X(OP_CONTROL, "message from the master")			\
	X(OP_CONNECT, "connect")					\
	/* multishot receive; 0: from downstream, 1: from upstream */	\
	X(OP_DATA0, "receive from downstream")				\
	X(OP_DATA1, "receive from upstream")				\
	X(OP_READY0, "downstream readable")				\
	X(OP_READY1, "upstream readable")				\
	/* 0: of what came from downstream */				\
	X(OP_SENT0, "send to upstream")					\
	X(OP_SENT1, "send to downstream")				\
	X(OP_ROOM0, "upstream writable")				\
	X(OP_ROOM1, "downstream writable")				\
	X(OP_HUP0, "downstream ended")		/* reset, or shut both ways */	\
	X(OP_HUP1, "upstream ended")					\
	/* of a transport (worker/transport.h) */			\
	X(OP_CONNECTED, "connect of a transport")			\
	X(OP_READ, "receive of a transport")				\
	X(OP_WRITTEN, "send of a transport")				\
	X(OP_READABLE, "transport readable")				\
	X(OP_WRITABLE, "transport writable")				\
	X(OP_GONE, "transport ended")		/* reset, or shut both ways */
