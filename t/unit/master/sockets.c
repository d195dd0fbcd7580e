/* master/sockets.c: bound before anything is published, closed only after everybody has adopted. */
#include "master/sockets.h"

#include "t/unit/master/sample.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOTHING_SENT ((const uint64_t[]){ 0, 0 })

/* Ports that the kernel gave and nobody listens on now; the tests of one program run in processes of their own. */
static char first[32], second[32], virtual[32];

static void take_port(char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(text, 32, "127.0.0.1:%u", ntohs(sin.sin_port));
	close(fd);
}

static struct sockets *sockets;

static void set_up(void)
{
	struct err e;

	take_port(first);
	take_port(second);
	take_port(virtual);
	sockets = sockets_open(2, NULL, &e);
	cr_assert_not_null(sockets);
}

TestSuite(sockets, .init = set_up);

static struct image image_with(const char *a, const char *b)
{
	const struct sample_cluster clusters[] = { { .name = "c" } };
	const struct sample_listener listeners[] = {
		{ .name = "bound", .kind = LISTENER_BOUND, .addresses = { a, b }, .cluster = "c" },
		{ .name = "virtual", .kind = LISTENER_VIRTUAL_OUTBOUND, .direction = DIRECTION_OUTBOUND, .addresses = { virtual },
		  .cluster = "c" },
	};
	const struct sample s = { .listeners = listeners, .nlisteners = 2, .clusters = clusters, .nclusters = 1 };
	struct image i;
	struct err e;
	int fd = sample_image(&s);

	cr_assert_eq(image_map(fd, &i, &e), 0, "%s", e.text);
	cr_assert_eq(image_verify(&i, &e), 0, "%s", e.text);
	close(fd);
	return i;
}

static int listening(const char *text)
{
	struct sockaddr_storage ss;
	struct addr a;
	int r, fd = socket(AF_INET, SOCK_STREAM, 0);

	addr_parse(text, &a);
	r = connect(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&a, &ss));
	close(fd);
	return r == 0;
}

/* Somebody else's socket, without SO_REUSEPORT. */
static int occupy(const char *text)
{
	struct sockaddr_storage ss;
	struct addr a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr_parse(text, &a);
	cr_assert_eq(bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&a, &ss)), 0);
	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

Test(sockets, each_worker_has_its_own)
{
	struct image i = image_with(first, second);
	struct heritage_gift gifts[8];
	struct err e;

	cr_assert_eq(sockets_prepare(sockets, &i, false, true, &e), 0, "%s", e.text);
	sockets_commit(sockets, &i, 1, NOTHING_SENT);
	cr_assert(listening(first) && listening(second));
	cr_assert_not(listening(virtual), "the workers bind that one at the start");
	cr_assert_eq(sockets_gifts(sockets, 0, gifts, 8), 2);
	cr_assert_str_eq(gifts[0].name, HERITAGE_LISTEN);
	cr_assert_eq(sockets_gifts(sockets, 1, gifts + 2, 6), 2);
	for (int k = 0; k < 4; k++) {
		for (int l = 0; l < k; l++)
			cr_assert_neq(gifts[k].fd, gifts[l].fd);
	}
	cr_assert_eq(sockets_unsent(sockets, 0), -1);
}

Test(sockets, what_cannot_be_bound_changes_nothing_and_is_named)
{
	struct image i = image_with(first, second);
	char expected[96];
	struct err e;
	int other = occupy(second);

	cr_assert_eq(sockets_prepare(sockets, &i, false, true, &e), -1);
	snprintf(expected, sizeof(expected), "sample.conf:10: listener bound: %s: Address already in use", second);
	cr_assert_str_eq(e.text, expected);
	cr_assert_not(listening(first), "it was bound for nothing");
	close(other);
	cr_assert_eq(sockets_prepare(sockets, &i, false, true, &e), 0, "%s", e.text);
}

Test(sockets, one_that_is_named_no_more_is_closed_when_all_have_adopted)
{
	struct image both = image_with(first, second), one = image_with(first, NULL);
	struct err e;

	cr_assert_eq(sockets_prepare(sockets, &both, false, true, &e), 0);
	sockets_commit(sockets, &both, 1, NOTHING_SENT);
	cr_assert_eq(sockets_prepare(sockets, &one, true, true, &e), 0);
	sockets_commit(sockets, &one, 2, NOTHING_SENT);
	sockets_settle(sockets, 1);
	cr_assert(listening(second), "a worker takes from it still");
	sockets_settle(sockets, 2);
	cr_assert_not(listening(second));
	cr_assert(listening(first));
}

Test(sockets, one_that_comes_back_is_sent_to_those_who_saw_it_go)
{
	const uint64_t sent[] = { 2, 1 };		/* worker 1 was not sent the image without it */
	struct image both = image_with(first, second), one = image_with(first, NULL);
	struct heritage_gift gifts[8];
	struct err e;
	int fd;

	cr_assert_eq(sockets_prepare(sockets, &both, false, true, &e), 0);
	sockets_commit(sockets, &both, 1, NOTHING_SENT);
	sockets_gifts(sockets, 0, gifts, 8);
	sockets_gifts(sockets, 1, gifts, 8);
	sockets_commit(sockets, &one, 2, (const uint64_t[]){ 1, 1 });
	cr_assert_eq(sockets_prepare(sockets, &both, false, true, &e), 0);
	sockets_commit(sockets, &both, 3, sent);
	cr_assert_eq(sockets_unsent(sockets, 1), -1);
	cr_assert_neq(fd = sockets_unsent(sockets, 0), -1);
	sockets_mark_sent(sockets, 0, fd);
	cr_assert_eq(sockets_unsent(sockets, 0), -1);
	sockets_settle(sockets, 3);
	cr_assert(listening(second));
}

Test(sockets, a_duplicate_is_kept_only_of_a_virtual_listener)
{
	struct image i = image_with(first, NULL);
	struct err e;
	int plain = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0);

	cr_assert_eq(sockets_keep(sockets, 0, &i, plain, &e), -1, "it does not listen");
	cr_assert_eq(sockets_keep(sockets, 0, &i, datagram, &e), -1, "it is no TCP socket");
	cr_assert_eq(sockets_keep(sockets, 0, &i, occupy(first), &e), -1, "the master binds that one itself");
	cr_assert_eq(sockets_keep(sockets, 0, &i, occupy(second), &e), -1, "nobody named it");
	cr_assert_eq(sockets_keep(sockets, 0, &i, occupy(virtual), &e), 0, "%s", e.text);
	cr_assert(listening(virtual));
	cr_assert_eq(sockets_unsent(sockets, 0), -1, "its worker has it");
	sockets_close(&sockets);
	cr_assert_not(listening(virtual));
}
