/* common/live.h: made, mapped, refused when it is another's; sums over workers. */
#include "common/live.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

Test(live, a_child_maps_what_the_master_made)
{
	struct live mine, theirs;
	struct err e;
	int fd;

	cr_assert_eq(live_create(3, &mine, &fd, &e), 0, "%s", e.text);
	cr_assert_eq(live_map(fd, &theirs, &e), 0, "%s", e.text);
	cr_assert_eq(theirs.workers, 3);
	live_add(&live_row(&theirs, 0, 7)->counter[2], 5);
	live_add(&live_row(&theirs, 2, 7)->counter[2], 6);
	live_add(&live_row(&theirs, 1, 7)->gauge[LIVE_USERS], 1);
	cr_assert_eq(live_sum_counter(&mine, 7, 2), 11);
	cr_assert_eq(live_sum_gauge(&mine, 7, LIVE_USERS), 1);
	cr_assert_eq(live_sum_counter(&mine, 8, 2), 0);
	live_unmap(&mine);
	live_unmap(&theirs);
	close(fd);
}

Test(live, no_child_can_change_its_size)
{
	struct live l;
	struct err e;
	int fd;

	cr_assert_eq(live_create(1, &l, &fd, &e), 0);
	cr_assert_eq(ftruncate(fd, 0), -1);
	cr_assert_eq(ftruncate(fd, (off_t)l.size + 1), -1);
	live_unmap(&l);
	close(fd);
}

Test(live, another_layout_is_refused)
{
	struct live l, other;
	struct err e;
	int fd;

	cr_assert_eq(live_create(1, &l, &fd, &e), 0);
	l.head->layout ^= 1;
	cr_assert_eq(live_map(fd, &other, &e), -1);
	l.head->layout ^= 1;
	l.head->workers = 2;
	cr_assert_eq(live_map(fd, &other, &e), -1, "the size must fit the number of workers");
	cr_assert_eq(live_create(0, &other, &fd, &e), -1);
	cr_assert_eq(live_create(LIVE_WORKERS_MAX + 1, &other, &fd, &e), -1);
}

Test(live, generations_are_found_by_number)
{
	struct live l;
	struct err e;
	int fd;

	cr_assert_eq(live_create(1, &l, &fd, &e), 0);
	cr_assert_eq(live_generation_row(&l, 0), IMAGE_NONE);
	cr_assert_eq(live_generation_row(&l, 9), IMAGE_NONE);
	live_set(&l.head->generations[5].number, 9);
	cr_assert_eq(live_generation_row(&l, 9), 5);
}
