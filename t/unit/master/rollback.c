/* Which deaths follow each other too fast (master/rollback.h). */
#include "master/rollback.h"

#include <criterion/criterion.h>

Test(rollback, ten_within_ten_seconds_are_too_many)
{
	struct deaths d = { .n = 0 };

	for (unsigned i = 0; i < 9; i++)
		cr_assert_not(deaths_add(&d, 1000 + i));
	cr_assert(deaths_add(&d, 11000));
	for (unsigned i = 0; i < 9; i++)
		cr_assert_not(deaths_add(&d, 11000), "counting begins anew");
	cr_assert(deaths_add(&d, 11000));
}

Test(rollback, a_death_each_second_and_a_bit_is_never_too_many)
{
	struct deaths d = { .n = 0 };

	for (unsigned i = 0; i < 100; i++)
		cr_assert_not(deaths_add(&d, 1000 + i * 1112));
}

Test(rollback, old_deaths_do_not_count)
{
	struct deaths d = { .n = 0 };

	for (unsigned i = 0; i < 9; i++)
		cr_assert_not(deaths_add(&d, 1));
	for (unsigned i = 0; i < 9; i++)
		cr_assert_not(deaths_add(&d, 20000));
	cr_assert(deaths_add(&d, 20001));
}
