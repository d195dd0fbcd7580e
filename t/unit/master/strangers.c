/* Who runs as meshd's users and is not meshd's (master/strangers.h). */
#include "master/strangers.h"

#include <criterion/criterion.h>

static struct process parsed(const char *text)
{
	struct process p;

	cr_assert_eq(process_parse(text, &p), 0, "%s", text);
	return p;
}

Test(strangers, an_application_of_these_users_is_one)
{
	struct process p = parsed("Name:\tredis-server\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t5\n"
	    "Uid:\t990\t990\t990\t990\nGid:\t1\t1\t1\t1\n");

	cr_assert_str_eq(p.name, "redis-server");
	cr_assert(process_is_stranger(&p, 990, 991));
	cr_assert(process_is_stranger(&p, 991, 990));
	cr_assert_not(process_is_stranger(&p, 991, 992));
}

Test(strangers, meshds_own_and_the_dead_are_none)
{
	struct process p = parsed("Name:\tmeshd-worker\nState:\tS (sleeping)\nUid:\t990\t990\t990\t990\n");

	cr_assert_not(process_is_stranger(&p, 990, 991));
	p = parsed("Name:\tsh\nState:\tZ (zombie)\nUid:\t990\t990\t990\t990\n");
	cr_assert_not(process_is_stranger(&p, 990, 991));
}

Test(strangers, what_counts_is_whose_its_sockets_are)
{
	struct process p = parsed("Name:\tnfsd\nState:\tR (running)\nUid:\t0\t0\t0\t990\n");

	cr_assert(process_is_stranger(&p, 990, 991));
	p = parsed("Name:\tsh\nState:\tR (running)\nUid:\t990\t0\t0\t0\n");
	cr_assert_not(process_is_stranger(&p, 990, 991));
}

Test(strangers, a_name_cannot_pass_for_another_line)
{
	struct process p = parsed("Name:\tUid:\t0 State:\nState:\tS (sleeping)\nUid:\t990\t990\t990\t990\n");

	cr_assert_eq(p.uid, 990u);
	cr_assert_eq(process_parse("", &p), -1);
	cr_assert_eq(process_parse("Name:\tx\nState:\tS\nUid:\t1\t2\n", &p), -1);
}
