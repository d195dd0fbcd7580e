/* master/cpus.c: what the kernel says about cores, in its own words. */
#include "master/cpus.h"

#include <criterion/criterion.h>
#include <limits.h>

Test(cpus, a_quota_is_rounded_up)
{
	static const struct {
		const char *text;
		unsigned cores;
	} rows[] = {
		{ "max 100000\n", 0 }, { "100000 100000\n", 1 }, { "150000 100000\n", 2 }, { "1000 100000\n", 1 },
		{ "200000 100000\n", 2 }, { "200001 100000\n", 3 }, { "6400000 100000\n", 64 }, { "50000 25000", 2 },
		{ "", 0 }, { "max", 0 }, { "100000", 0 }, { "0 100000", 0 }, { "100000 0", 0 }, { "-1 100000", 0 },
		{ "18446744073709551615 1", UINT_MAX },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(cpus_parse_max(rows[i].text), rows[i].cores, "\"%s\"", rows[i].text);
}

Test(cpus, the_group_of_version_2_is_found_among_others)
{
	char path[32];

	cr_assert_eq(cpus_parse_group("0::/system.slice/meshd.service\n", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/system.slice/meshd.service");
	cr_assert_eq(cpus_parse_group("4:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c\n", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/c");
	cr_assert_eq(cpus_parse_group("0::/", path, sizeof(path)), 0);
	cr_assert_str_eq(path, "/");
	cr_assert_eq(cpus_parse_group("4:cpu:/a\n", path, sizeof(path)), -1, "version 1 alone");
	cr_assert_eq(cpus_parse_group("", path, sizeof(path)), -1);
	cr_assert_eq(cpus_parse_group("0::/a-path-that-is-longer-than-the-room\n", path, sizeof(path)), -1);
}

Test(cpus, there_is_always_one)
{
	cr_assert_eq(cpus_usable(1), 1);
	cr_assert_geq(cpus_usable(64), 1);
	cr_assert_leq(cpus_usable(64), 64);
}
