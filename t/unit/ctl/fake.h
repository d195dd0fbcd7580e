/* A master for tests: control.sock in a folder of its own, answers that the test says. */
#pragma once

#include "common/control.h"

#include <stddef.h>
#include <stdio.h>

struct fake_answer {
	const struct control_reply *reply;	/* NULL: hangs up */
	const char *lines;			/* what comes with it; NULL: nothing */
};

extern char fake_folder[64];
extern int fake_listener;

void fake_begin(void);
void fake_end(void);

/* Runs meshctl and answers its requests, n of them, which are kept in `requests` (NULL: not).  Its stdout and stderr are in
 * text; its exit status. */
int fake_run(const char *arguments, const struct fake_answer *, size_t n, struct control_request *requests, char *text, size_t room);
/* meshctl, begun; the caller's to pclose(3). */
FILE *fake_start(const char *arguments);
