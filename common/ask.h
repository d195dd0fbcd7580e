/*
 * How meshd-conf gets at files: it opens nothing itself, it asks its starter, which answers with read-only descriptors
 * of regular files.  Records over SOCK_SEQPACKET (common/wire.h, record_send), blocking in meshd-conf.
 * The starter is the master (paths under the folder of -c and each -I only), or `meshd -n` and `meshctl check` with
 * the caller's own rights.
 */
#pragma once

#include <stdint.h>

#define ASK_PATH_MAX   4096
#define ASK_FILE_MAX   (16u << 20)	/* bytes of one file; a larger one is EFBIG */
#define ASK_FILES_MAX  1024		/* opened in one load; one more is EMFILE */

struct ask {
	char path[ASK_PATH_MAX];	/* absolute, terminated */
};

struct ask_answer {
	int32_t error;			/* 0: the descriptor is with this record; else an errno.  EISDIR: a folder;
					 * EPERM: outside of the allowed folders; EINVAL: not a regular file */
	uint32_t zero;
	uint64_t size;			/* at the time of opening; the file may change, nothing hangs on it */
};
