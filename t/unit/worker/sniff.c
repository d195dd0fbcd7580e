/* worker/sniff.h: first bytes, each sample cut at every byte: decided as soon as it can be, and never otherwise. */
#include "worker/sniff.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

struct row {
	char bytes[48];
	size_t at;			/* decided with so many bytes, not before */
	enum image_application is;
};

ParameterizedTestParameters(sniff, decides)
{
	static struct row rows[] = {
		{ "GET / HTTP/1.1\r\nHost: a", 16, APPLICATION_HTTP11 }, { "POST /x HTTP/1.0\r\n", 18, APPLICATION_HTTP10 },
		{ "PROPFIND /x HTTP/1.1\n", 21, APPLICATION_HTTP11 }, { "GET / HTTP/2.0\r\n", 16, APPLICATION_ANY },
		{ "GET / nothing\r\n", 15, APPLICATION_ANY }, { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3, APPLICATION_ANY },
		{ "PING\r\n", 2, APPLICATION_ANY }, { "hello", 1, APPLICATION_ANY }, { "*1\r\n$4\r\nPING\r\n", 1, APPLICATION_ANY },
		{ "\x16\x03\x01", 1, APPLICATION_ANY }, { "GETS / HTTP/1.1\r\n", 4, APPLICATION_ANY }, { "GET\r\n", 4, APPLICATION_ANY },
	};

	return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct row *r, sniff, decides)
{
	enum image_application is;

	for (size_t n = 1; n <= strlen(r->bytes); n++) {
		cr_assert_eq(sniff(r->bytes, n, &is), n >= r->at, "%s: %zu", r->bytes, n);
		if (n >= r->at)
			cr_assert_eq(is, r->is, "%s: %zu", r->bytes, n);
	}
}

Test(sniff, a_line_without_end)
{
	static char line[20000] = "GET /";
	enum image_application is;

	memset(line + 5, 'x', sizeof(line) - 5);
	cr_assert_not(sniff(line, 10000, &is));
	cr_assert(sniff(line, sizeof(line), &is));
	cr_assert_eq(is, APPLICATION_ANY);
}
