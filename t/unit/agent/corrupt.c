/* What a corrupt image or `live` does to the agent: an image that does not verify is refused, of all else it answers. */
#include "agent/admin.h"
#include "agent/answers.h"
#include "t/unit/agent/fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct agent a;
static uint32_t seed;

static void begin(void)
{
	struct err e;
	int live, image = fixture_image(100);

	memset(&a, 0, sizeof(a));
	logs_init(&a.logs);
	fixture_live(&a.live, &live);
	cr_assert_eq(agent_adopt(&a, image, 1, &e), 0, "%s", e.text);
	close(image);
	close(live);
	seed = 1;
}

static void end(void)
{
	image_unmap(&a.image);
	live_unmap(&a.live);
}

TestSuite(corrupt, .init = begin, .fini = end, .timeout = 120);

/* The same numbers in each run. */
static uint32_t draw(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* Every answer there is; any status will do. */
static void ask_all(void)
{
	static const char *const paths[] = {
		"/clusters", "/config_dump", "/meshd/generations", "/meshd/names", "/meshd/settings", "/meshd/status",
		"/meshd/version", "/ready", "/server_info", "/stats",
	};
	const struct query q = { .json = draw() % 2 };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *type;
		char *body;
		size_t size;

		cr_assert_neq(admin_answer(&a, paths[i], &q, &body, &size, &type), 404, "%s", paths[i]);
		free(body);
	}
}

/* Adopts an image with a word that is another one; true: it was taken. */
static bool adopt_with(const char *good, size_t size, size_t at, const void *bytes, size_t n)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct err e;
	bool taken;

	cr_assert_eq(write(fd, good, size), (ssize_t)size);
	cr_assert_eq(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
	taken = agent_adopt(&a, fd, 2, &e) == 0;
	close(fd);
	if (!taken)
		cr_assert_eq(strncmp(e.text, "image: ", 7), 0, "%s", e.text);
	return taken;
}

Test(corrupt, images_are_refused_or_shown)
{
	static const uint32_t odd[] = { 1, 0xff, 0x7fffffff, UINT32_MAX };
	size_t size = a.image.size, taken = 0, refused = 0;
	char *good = malloc(size);

	memcpy(good, a.image.head, size);
	for (size_t at = 0; at + 4 <= size; at += 4) {
		for (unsigned i = 0; i < 4; i++) {
			if (adopt_with(good, size, at, &odd[i], 4)) {
				ask_all();
				taken++;
			} else {
				refused++;
			}
		}
	}
	cr_expect_gt(taken, 100);
	cr_expect_gt(refused, 100);
	free(good);
}

Test(corrupt, images_with_a_byte_changed)
{
	size_t size = a.image.size;
	char *good = malloc(size);

	memcpy(good, a.image.head, size);
	for (unsigned i = 0; i < 5000; i++) {
		char byte = (char)draw();

		if (adopt_with(good, size, draw() % size, &byte, 1))
			ask_all();
	}
	free(good);
}

Test(corrupt, images_that_are_cut)
{
	size_t size = a.image.size;
	struct err e;

	for (size_t n = 0; n < size; n += 8) {
		int fd = memfd_create("image", MFD_CLOEXEC);

		cr_assert_eq(write(fd, a.image.head, size), (ssize_t)size);
		cr_assert_eq(ftruncate(fd, (off_t)n), 0);
		cr_expect_eq(agent_adopt(&a, fd, 2, &e), -1, "%zu of %zu bytes", n, size);
		close(fd);
	}
}

/* All of what a worker, or one who has taken it over, can write to. */
Test(corrupt, live_full_of_anything)
{
	size_t rows = offsetof(struct live_block, rows), head = offsetof(struct live_head, directory);

	for (unsigned i = 0; i < 200; i++) {
		for (unsigned w = 0; w < 2; w++) {
			char *block = (char *)&a.live.blocks[w];

			for (size_t k = 0; k < rows + 32 * sizeof(struct live_row); k += 4)
				*(uint32_t *)(void *)(block + k) = draw() % 4 == 0 ? UINT32_MAX : draw() % 4 == 0 ? 0 : draw() << 8;
		}
		for (size_t k = 0; k < head; k += 4)
			*(uint32_t *)(void *)((char *)a.live.head + k) = draw() % 4 == 0 ? UINT32_MAX : draw() << 8;
		ask_all();
	}
}
