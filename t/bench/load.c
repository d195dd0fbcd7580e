/* The two ends of a benchmark: what asks and what answers (origin).  Every byte that arrives is compared with what must arrive.
 *
 *	load origin KIND ADDRESS PORT                   serves until it is killed, or its parent has died
 *	load KIND ADDRESS PORT CONNECTIONS SECONDS      asks an origin of the kind beside it in the tables below
 *
 * small|close: 64-byte messages there and back, on kept connections or one for each.  upload|download: 1 MiB blocks one way.
 * http|http-close: requests for 64 bytes.  http-get|http-post: 64 KiB in the answer, or in the request.  http-upload|
 * http-download: bodies of 64 MiB.
 *
 * An asking end warms up, lets everything come back, prints "ready" and waits for a line on stdin, so that its starter can
 * read CPU clocks while nothing moves.  Then it measures, lets everything come back again and prints one line of key=value.
 * Exit 0: all arrived as it must.  An alarm ends it when something hangs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { GRACE_S = 20 };		/* beyond its seconds: what takes longer hangs */

static const struct speech *const speeches[] = {
	&speech_small,		/* echo */
	&speech_close,		/* once */
	&speech_http, &speech_http_close, &speech_http_get, &speech_http_post,	/* http */
};

static const struct {
	const char *name;
	void (*move)(struct transfer *t);
} moves[] = {
	{ "upload", upload },			/* sink */
	{ "download", download },		/* source */
	{ "http-upload", http_upload },		/* http-blocks */
	{ "http-download", http_download },	/* http-blocks */
};

static const struct {
	const char *name;
	bool (*messages)(int fd);		/* either */
	void *(*blocks)(void *arg);		/* or */
} origins[] = {
	{ "echo", serve_echo, NULL },
	{ "once", serve_once, NULL },
	{ "http", serve_http, NULL },
	{ "sink", NULL, serve_sink },
	{ "source", NULL, serve_source },
	{ "http-blocks", NULL, serve_http_blocks },
};

#define COUNT(a)	(sizeof(a) / sizeof *(a))

static _Noreturn void
usage(void)
{
	fputs("usage: load origin KIND ADDRESS PORT\n       load KIND ADDRESS PORT CONNECTIONS SECONDS\nkinds:", stderr);
	for (size_t i = 0; i < COUNT(speeches); i++)
		fprintf(stderr, " %s", speeches[i]->name);
	for (size_t i = 0; i < COUNT(moves); i++)
		fprintf(stderr, " %s", moves[i].name);
	fputs("\nof origins:", stderr);
	for (size_t i = 0; i < COUNT(origins); i++)
		fprintf(stderr, " %s", origins[i].name);
	fputs("\n", stderr);
	exit(2);
}

static _Noreturn void
run_origin(const char *kind, const struct sockaddr_in *at)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < COUNT(origins); i++) {
		if (strcmp(kind, origins[i].name) != 0)
			continue;
		if (origins[i].messages != NULL)
			serve_messages(listen_on(at, SOCK_NONBLOCK), origins[i].messages);
		serve_blocks(listen_on(at, 0), origins[i].blocks);
	}
	usage();
}

static void
run_asking(const char *kind, const struct sockaddr_in *to, int connections, double seconds)
{
	for (size_t i = 0; i < COUNT(speeches); i++) {
		if (strcmp(kind, speeches[i]->name) == 0) {
			run_messages(to, speeches[i], connections, seconds);
			return;
		}
	}
	for (size_t i = 0; i < COUNT(moves); i++) {
		if (strcmp(kind, moves[i].name) == 0) {
			run_blocks(to, moves[i].move, connections, seconds);
			return;
		}
	}
	usage();
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin;
	int connections;
	double seconds;

	if (argc != 5 && argc != 6)
		usage();
	pattern_fill();
	if (argc == 5) {
		sin = address_of(argv[3], argv[4]);
		if (strcmp(argv[1], "origin") != 0)
			usage();
		run_origin(argv[2], &sin);
	}
	sin = address_of(argv[2], argv[3]);
	connections = atoi(argv[4]);
	seconds = atof(argv[5]);
	if (connections < 1 || connections > MOST_CONNECTIONS || seconds <= 0 || seconds > 3600)
		usage();
	alarm((unsigned)seconds + GRACE_S);
	run_asking(argv[1], &sin, connections, seconds);
	return 0;
}
