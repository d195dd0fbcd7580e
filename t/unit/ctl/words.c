/* ctl/words.h: ages, bytes, and lines that anybody may have written. */
#include "ctl/words.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct number_case {
	uint64_t number;
	char age[32], bytes[32];
};

ParameterizedTestParameters(words, numbers)
{
	static struct number_case cases[] = {
		{ 0, "0s", "0" }, { 1, "1ms", "1" }, { 999, "999ms", "999" }, { 1000, "1s", "1.0K" }, { 1023, "1s", "1.0K" },
		{ 1024, "1s", "1.0K" }, { 10240, "10s", "10K" }, { 59999, "59s", "59K" }, { 61000, "1m1s", "60K" },
		{ 1048576, "17m28s", "1.0M" }, { 7260000, "2h1m", "6.9M" }, { 90000000, "1d1h", "86M" },
		{ 1ull << 40, "12725d19h", "1.0T" }, { UINT64_MAX, "213503982334d14h", "16E" },
	};

	return cr_make_param_array(struct number_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct number_case *c, words, numbers)
{
	char to[WORDS_MAX];

	cr_expect_str_eq(words_age(c->number, to), c->age, "%s", to);
	cr_expect_str_eq(words_bytes(c->number, to), c->bytes, "%s", to);
}

struct line_case {
	char line[40], harmless[40];
};

ParameterizedTestParameters(words, lines)
{
	static struct line_case cases[] = {
		{ "", "" }, { "a\tb", "a\tb" }, { "\033[2Jx\177", "?[2Jx?" }, { "\303\251", "\303\251" },
		{ "\302\233x", "??x" },			/* U+009B, which some terminals take for ESC [ */
		{ "\377\376a", "??a" }, { "\303", "?" }, { "\302\240", "\302\240" },
	};

	return cr_make_param_array(struct line_case, cases, sizeof(cases) / sizeof(cases[0]));
}

ParameterizedTest(struct line_case *c, words, lines)
{
	char line[40];

	strcpy(line, c->line);
	cr_expect_str_eq(words_harmless(line), c->harmless);
}

Test(words, a_descriptor_is_read_whole)
{
	size_t size = 300000, got = 0;
	char *written = malloc(size), *read;
	int fd = memfd_create("text", MFD_CLOEXEC);

	memset(written, 'x', size);
	cr_assert_eq(write(fd, written, size), (ssize_t)size);
	cr_assert_not_null(read = words_read(fd, &got));
	cr_expect_eq(got, size);
	cr_expect_eq(memcmp(read, written, size), 0);
	cr_expect_eq(read[size], '\0');
	free(read);
	cr_assert_eq(ftruncate(fd, 65535), 0);		/* as large as what it begins with */
	cr_assert_not_null(read = words_read(fd, &got));
	cr_expect_eq(strlen(read), 65535);
	free(read);
	free(written);
	close(fd);
	cr_expect_null(words_read(fd, &got));
}
