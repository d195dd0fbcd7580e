/* common/addr.h: text to address and back, prefixes. */
#include "common/addr.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
	const char *text, *printed;		/* printed NULL: refused */
} endpoints[] = {
	{ "192.0.2.1:80", "192.0.2.1:80" }, { "[2001:db8::1]:65535", "[2001:db8::1]:65535" },
	{ "[2001:DB8:0::1]:1", "[2001:db8::1]:1" }, { "192.0.2.1:0", NULL }, { "192.0.2.1:65536", NULL },
	{ "192.0.2.1", NULL }, { "2001:db8::1:80", NULL }, { ":80", NULL }, { "", NULL }, { "host:80", NULL },
	{ "192.0.2.1:+1", NULL }, { "192.0.2.1: 1", NULL }, { "[192.0.2.1]:80", NULL }, { "192.0.2.256:80", NULL },
};

Test(addr, endpoints_are_read_and_printed)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++) {
		char buf[ADDR_STRLEN];
		struct addr a;
		int r = addr_parse(endpoints[i].text, &a);

		cr_assert_eq(r, endpoints[i].printed != NULL ? 0 : -1, "%s", endpoints[i].text);
		if (r == 0)
			cr_assert_str_eq(addr_print(&a, buf), endpoints[i].printed);
	}
}

static const struct {
	const char *prefix, *ip;
	int parsed, covers;
} prefixes[] = {
	{ "203.0.113.0/24", "203.0.113.255", 0, 1 }, { "203.0.113.0/24", "203.0.114.0", 0, 0 },
	{ "203.0.113.128/25", "203.0.113.127", 0, 0 }, { "0.0.0.0/0", "198.51.100.7", 0, 1 },
	{ "0.0.0.0/0", "2001:db8::1", 0, 0 }, { "::/0", "192.0.2.1", 0, 0 }, { "2001:db8::/33", "2001:db8:7fff::", 0, 1 },
	{ "2001:db8::/33", "2001:db8:8000::", 0, 0 }, { "192.0.2.1", "192.0.2.1", 0, 1 }, { "192.0.2.1/24", "192.0.2.1", -2, 0 },
	{ "192.0.2.0/33", "192.0.2.1", -1, 0 }, { "192.0.2.0/", "192.0.2.1", -1, 0 }, { "2001:db8::/129", "::1", -1, 0 },
};

Test(addr, prefixes_cover_what_they_say)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		struct prefix p;
		struct addr a;

		cr_assert_eq(prefix_parse(prefixes[i].prefix, &p), prefixes[i].parsed, "%s", prefixes[i].prefix);
		cr_assert_eq(addr_parse_ip(prefixes[i].ip, &a), 0);
		if (prefixes[i].parsed == 0)
			cr_assert_eq(prefix_covers(&p, &a), prefixes[i].covers, "%s %s", prefixes[i].prefix, prefixes[i].ip);
	}
}

Test(addr, socket_addresses_go_both_ways)
{
	static const char *const texts[] = { "127.0.0.1:9", "[::1]:9", "[2001:db8::5]:443", "0.0.0.0:15001", "[::]:15001" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sockaddr_storage ss;
		struct addr a, b;
		socklen_t len;

		cr_assert_eq(addr_parse(texts[i], &a), 0);
		len = addr_to_sockaddr(&a, &ss);
		cr_assert_eq(addr_from_sockaddr((struct sockaddr *)&ss, len, &b), 0);
		cr_assert(addr_equal(&a, &b));
		cr_assert_eq(addr_hash(&a), addr_hash(&b));
	}
}
