/* worker/path.h: dot segments, as RFC 3986 5.2.4 removes them, written in whatever way. */
#include "worker/path.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

struct row {
	char path[40], want[40];
};

ParameterizedTestParameters(path, is_normalized)
{
	static struct row rows[] = {
		{ "/", "/" }, { "/a/b", "/a/b" }, { "/a/./b", "/a/b" }, { "/a/../b", "/b" }, { "/a/b/..", "/a/" }, { "/a/b/.", "/a/b/" },
		{ "/..", "/" }, { "/../../a", "/a" }, { "/a//b", "/a//b" }, { "/a//../b", "/a/b" }, { "/%2e%2E/a", "/a" }, { "/a/%2e/b", "/a/b" },
		{ "/a/.%2e/b", "/b" }, { "/a\\..\\b", "/b" }, { "/.a/..b/c.", "/.a/..b/c." }, { "/...", "/..." }, { "/%2f../a", "/%2f../a" },
		{ "/a/b/../../../c", "/c" }, { "/./", "/" }, { "/a/%2", "/a/%2" },
	};

	return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct row *r, path, is_normalized)
{
	struct http_span path = { r->path, (uint32_t)strlen(r->path) };
	char out[40];
	size_t n = path_normalize(out, path);

	cr_assert(n <= path.len);
	cr_assert(n == strlen(r->want) && memcmp(out, r->want, n) == 0, "%s -> %.*s", r->path, (int)n, out);
	cr_assert(path_needs_normalizing(path) || strcmp(r->path, r->want) == 0, "%s", r->path);
}

Test(path, what_is_no_path_is_left_alone)
{
	cr_assert_not(path_needs_normalizing((struct http_span){ "*", 1 }));
	cr_assert_not(path_needs_normalizing((struct http_span){ "", 0 }));
	cr_assert_not(path_needs_normalizing((struct http_span){ "a/../b:1", 8 }));
}
