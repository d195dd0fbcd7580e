/* master/publish.c: slots that keep their names, are given again, and never too early; rows of the generation table. */
#include "master/publish.h"

#include "t/unit/master/sample.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct live live;
static struct generations *generations;
static const struct sent nobody;

static void set_up(void)
{
	struct err e;
	int fd;

	cr_assert_eq(live_create(2, &live, &fd, &e), 0);
	generations = generations_open(&live, &e);
	cr_assert_not_null(generations);
}

TestSuite(publish, .init = set_up);

/* An image with these clusters; its digest tells it from others. */
static int image_of(const char *a, const char *b, uint64_t digest)
{
	const struct sample_cluster clusters[] = { { .name = a }, { .name = b } };
	const struct sample s = { .clusters = clusters, .nclusters = b != NULL ? 2 : 1, .digest = digest };

	return sample_image(&s);
}

static uint64_t publish(const char *a, const char *b, const struct sent *sent)
{
	static uint64_t digest;
	uint64_t number;
	struct draft d;
	struct err e;

	cr_assert_eq(generation_fill(generations, image_of(a, b, ++digest), &d, &e), 0, "%s", e.text);
	cr_assert_eq(generation_publish(generations, &d, "test.conf", sent, &number, &e), 0, "%s", e.text);
	return number;
}

static uint32_t slot_of(const char *name)
{
	for (uint32_t i = 0; i < LIVE_SLOTS; i++) {
		if (live_get(&live.head->directory[i].kind) == NAME_CLUSTER && strcmp(live.head->directory[i].name, name) == 0)
			return i;
	}
	return 0;
}

Test(publish, a_name_keeps_its_slot_and_its_counters)
{
	uint32_t a, b;

	cr_assert_eq(publish("a", "b", &nobody), 1);
	a = slot_of("a");
	b = slot_of("b");
	cr_assert(a != 0 && b != 0 && a != b);
	live_set(&live_row(&live, 1, b)->counter[3], 7);
	cr_assert_eq(publish("b", "c", &nobody), 2);
	cr_assert_eq(slot_of("b"), b);
	cr_assert_eq(live_get(&live_row(&live, 1, b)->counter[3]), 7);
	cr_assert_eq(live_get(&live.head->directory[b].birth), 1);
	cr_assert_eq(image_slot(generation_image(generations), 0), b);
	cr_assert_eq(image_slot(generation_image(generations), 1), slot_of("c"));
}

Test(publish, a_slot_is_given_again_with_counters_at_nought)
{
	uint32_t a;

	publish("a", "b", &nobody);
	a = slot_of("a");
	live_set(&live_row(&live, 0, a)->counter[0], 5);
	live_set(&live_row(&live, 1, a)->counter[27], 6);
	publish("b", NULL, &nobody);
	cr_assert_not(generations_sweep(generations, &nobody));
	cr_assert_eq(slot_of("a"), 0, "it has left the directory");
	publish("b", "new", &nobody);
	cr_assert_eq(slot_of("new"), a);
	cr_assert_eq(live_sum_counter(&live, a, 0), 0);
	cr_assert_eq(live_sum_counter(&live, a, 27), 0);
}

Test(publish, a_slot_in_use_is_not_given_again)
{
	uint32_t a;

	publish("a", "b", &nobody);
	a = slot_of("a");
	live_set(&live_row(&live, 1, a)->gauge[LIVE_USERS], 1);
	publish("b", NULL, &nobody);
	cr_assert(generations_sweep(generations, &nobody), "a tunnel has outlived its cluster");
	cr_assert_eq(slot_of("a"), a);
	publish("b", "new", &nobody);
	cr_assert_neq(slot_of("new"), a);
	publish("a", "b", &nobody);
	cr_assert_eq(slot_of("a"), a, "its name takes it up again");
	live_set(&live_row(&live, 1, a)->gauge[LIVE_USERS], 0);
	publish("b", NULL, &nobody);
	cr_assert_not(generations_sweep(generations, &nobody));
	cr_assert_eq(slot_of("a"), 0);
}

Test(publish, a_generation_is_kept_while_a_worker_may_use_it)
{
	struct sent sent = { .number = { 1, 1 } };

	publish("a", NULL, &nobody);
	live_set(&live.blocks[0].adopted, 1);
	live_set(&live.blocks[0].held, 1u << live_generation_row(&live, 1));
	live_set(&live.blocks[1].adopted, 1);
	live_set(&live.blocks[1].held, 1u << live_generation_row(&live, 1));
	publish("b", NULL, &sent);
	sent.number[0] = sent.number[1] = 2;
	cr_assert(generations_sweep(generations, &sent));
	live_set(&live.blocks[0].held, 1u << live_generation_row(&live, 2));
	live_set(&live.blocks[0].adopted, 2);
	cr_assert(generations_sweep(generations, &sent), "worker 1 holds generation 1 still");
	cr_assert_neq(live_generation_row(&live, 1), IMAGE_NONE);
	live_set(&live.blocks[1].held, 1u << live_generation_row(&live, 2));
	live_set(&live.blocks[1].adopted, 2);
	cr_assert_not(generations_sweep(generations, &sent));
	cr_assert_eq(live_generation_row(&live, 1), IMAGE_NONE);
	cr_assert_eq(slot_of("a"), 0);
}

Test(publish, what_is_on_its_way_to_a_worker_is_kept)
{
	struct sent sent = { .number = { 2 } };

	publish("a", NULL, &nobody);
	publish("b", NULL, &sent);
	publish("c", NULL, &sent);
	live_set(&live.blocks[0].adopted, 1);
	cr_assert(generations_sweep(generations, &sent), "it was sent 2 and has not said that it has it");
	cr_assert_neq(live_generation_row(&live, 2), IMAGE_NONE);
	cr_assert_eq(live_generation_row(&live, 1), IMAGE_NONE);
	generations_forget_worker(generations, 0);
	sent.number[0] = 0;
	cr_assert_not(generations_sweep(generations, &sent));
	cr_assert_eq(live_generation_row(&live, 2), IMAGE_NONE);
}

Test(publish, sixty_four_generations_held_refuse_the_next)
{
	struct sent sent = { .number = { LIVE_GENERATIONS } };
	uint64_t number;
	struct draft d;
	struct err e;

	for (unsigned i = 0; i < LIVE_GENERATIONS; i++)
		publish("a", NULL, &sent);
	live_set(&live.blocks[0].held, UINT64_MAX);
	live_set(&live.blocks[0].pid, 4711);
	cr_assert(generations_sweep(generations, &sent));
	cr_assert_eq(generation_fill(generations, image_of("z", NULL, 1000), &d, &e), 0);
	errno = 0;
	cr_assert_eq(generation_publish(generations, &d, "test.conf", &sent, &number, &e), -1);
	cr_assert_eq(errno, EBUSY);
	cr_assert_not_null(strstr(e.text, "worker 0 (pid 4711) holds 64"), "%s", e.text);
	generation_drop(generations, &d);
	cr_assert_eq(slot_of("z"), 0);
	cr_assert_eq(generation_number(generations), LIVE_GENERATIONS);
	live_set(&live.blocks[0].held, 0);
	live_set(&live.blocks[0].adopted, LIVE_GENERATIONS);
	cr_assert_not(generations_sweep(generations, &sent));
	cr_assert_eq(publish("z", NULL, &sent), LIVE_GENERATIONS + 1);
}

Test(publish, a_dead_worker_gives_back_its_gauges_and_keeps_its_counters)
{
	struct live_row *row;

	publish("a", NULL, &nobody);
	row = live_row(&live, 1, slot_of("a"));
	live_set(&row->gauge[LIVE_USERS], 3);
	live_set(&row->gauge[1], 4);
	live_set(&row->counter[1], 5);
	live_set(&live.blocks[1].gauge[0], 6);
	live_set(&live.blocks[1].counter[0], 7);
	live_set(&live.blocks[1].pid, 4711);
	live_set(&live_row(&live, 0, slot_of("a"))->gauge[1], 8);
	generations_forget_worker(generations, 1);
	cr_assert_eq(live_get(&row->gauge[LIVE_USERS]), 0);
	cr_assert_eq(live_get(&row->gauge[1]), 0);
	cr_assert_eq(live_get(&row->counter[1]), 5);
	cr_assert_eq(live_get(&live.blocks[1].gauge[0]), 0);
	cr_assert_eq(live_get(&live.blocks[1].counter[0]), 7);
	cr_assert_eq(live_get(&live.blocks[1].pid), 0);
	cr_assert_eq(live_sum_gauge(&live, slot_of("a"), 1), 8, "worker 0 lives");
}

Test(publish, the_published_image_cannot_change)
{
	int fd;

	publish("a", NULL, &nobody);
	fd = generation_fd(generations);
	cr_assert_eq(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	cr_assert_eq(pwrite(fd, "x", 1, 0), -1);
}

Test(publish, an_image_that_somebody_can_still_write_is_refused)
{
	int fd = image_of("a", NULL, 1);
	void *writer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct draft d;
	struct err e;

	cr_assert_neq(writer, MAP_FAILED);
	cr_assert_eq(generation_fill(generations, fd, &d, &e), -1);
	cr_assert_eq(errno, EBUSY, "%s", e.text);
	cr_assert_eq(publish("b", NULL, &nobody), 1, "nothing of it was kept");
	cr_assert_eq(slot_of("a"), 0);
}

Test(publish, the_generation_before_is_kept_until_it_is_forgotten)
{
	uint64_t before;
	struct image i;
	struct err e;

	publish("a", "b", &nobody);
	cr_assert_eq(generation_previous(generations, &before), -1);
	publish("c", "d", &nobody);
	generations_sweep(generations, &nobody);
	cr_assert_eq(image_map(generation_previous(generations, &before), &i, &e), 0);
	cr_assert_eq(before, 1);
	cr_assert_eq(image_verify(&i, &e), 0);
	cr_assert_str_eq(image_text(&i, image_cluster(&i, 0)->name), "a");
	image_unmap(&i);
	cr_assert_eq(slot_of("a"), 0, "it holds no slot");
	generation_forget_previous(generations);
	cr_assert_eq(generation_previous(generations, &before), -1);
}

Test(publish, what_has_a_name_is_known)
{
	publish("a", "b", &nobody);
	cr_assert(generations_know(generations, NAME_CLUSTER, "a"));
	cr_assert_not(generations_know(generations, NAME_LISTENER, "a"));
	cr_assert_not(generations_know(generations, NAME_CLUSTER, ""));
	cr_assert_not(generations_know(generations, NAME_CLUSTER, "c"));
}

Test(publish, the_same_configuration_is_known_by_its_digest)
{
	struct draft d;
	struct err e;

	publish("a", NULL, &nobody);
	cr_assert_eq(generation_fill(generations, image_of("a", NULL, 1), &d, &e), 0);
	cr_assert(generation_is(generations, &d.image));
	generation_drop(generations, &d);
	cr_assert_eq(generation_fill(generations, image_of("a", NULL, 99), &d, &e), 0);
	cr_assert_not(generation_is(generations, &d.image));
	generation_drop(generations, &d);
}

/* Every word of the head, set to what it should not be: refused or harmless, never a fault (and under sanitizers). */
Test(publish, a_broken_head_is_refused_before_it_is_used)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
	uint32_t words = sizeof(struct image_head) / sizeof(uint32_t), refused = 0;

	for (uint32_t w = 0; w < words; w++) {
		for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			int fd = image_of("a", "b", 5);
			struct draft d;
			struct err e;

			cr_assert_eq(pwrite(fd, &values[v], sizeof(values[v]), w * (off_t)sizeof(uint32_t)), 4);
			if (generation_fill(generations, fd, &d, &e) == 0)
				generation_drop(generations, &d);
			else
				refused++;
		}
	}
	cr_assert_gt(refused, SECTION_COUNT * 2);
	cr_assert_eq(publish("a", "b", &nobody), 1);
	cr_assert_leq(slot_of("a"), 2, "drafts that were dropped have given back what they held");
}

Test(publish, an_image_cut_short_is_refused)
{
	int whole = image_of("a", "b", 5);
	off_t end = lseek(whole, 0, SEEK_END);
	struct draft d;
	struct err e;

	for (off_t size = 0; size < end; size += 8) {
		int fd = image_of("a", "b", 5);

		cr_assert_eq(ftruncate(fd, size), 0);
		cr_assert_eq(generation_fill(generations, fd, &d, &e), -1, "%lld bytes", (long long)size);
	}
	cr_assert_eq(generation_fill(generations, whole, &d, &e), 0, "%s", e.text);
	generation_drop(generations, &d);
}
