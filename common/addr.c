/* Addresses: see addr.h. */
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

int addr_parse_ip(const char *text, struct addr *a)
{
	char inside[ADDR_STRLEN];
	size_t n = strlen(text);

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, text, a->ip + 12) == 1) {
		memcpy(a->ip, mapped, sizeof(mapped));
		a->family = AF_INET;
		return 0;
	}
	if (n >= 2 && n < sizeof(inside) && text[0] == '[' && text[n - 1] == ']') {
		memcpy(inside, text + 1, n - 2);
		inside[n - 2] = '\0';
		text = inside;
	}
	if (inet_pton(AF_INET6, text, a->ip) != 1)
		return -1;
	a->family = AF_INET6;
	return 0;
}

static int parse_number(const char *text, unsigned long max, unsigned long *value_r)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 5 || text[n] != '\0')
		return -1;
	*value_r = strtoul(text, NULL, 10);
	return *value_r <= max ? 0 : -1;
}

int addr_parse(const char *text, struct addr *a)
{
	const char *colon = strrchr(text, ':');
	char ip[ADDR_STRLEN];
	unsigned long port;

	if (colon == NULL || (size_t)(colon - text) >= sizeof(ip))
		return -1;
	memcpy(ip, text, colon - text);
	ip[colon - text] = '\0';
	if (parse_number(colon + 1, 65535, &port) == -1 || port == 0 || addr_parse_ip(ip, a) == -1)
		return -1;
	if (a->family == AF_INET6 && ip[0] != '[')
		return -1;		/* "2001:db8::1:80" has no port that one could see */
	a->port = (uint16_t)port;
	return 0;
}

static void mask_ip(uint8_t ip[16], unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		if (bits >= 8) {
			bits -= 8;
			continue;
		}
		ip[i] &= (uint8_t)(0xff << (8 - bits));
		bits = 0;
	}
}

int prefix_parse(const char *text, struct prefix *p)
{
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	unsigned long bits;
	char ip[ADDR_STRLEN];
	struct addr a;

	if (n >= sizeof(ip))
		return -1;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if (addr_parse_ip(ip, &a) == -1)
		return -1;

	bits = a.family == AF_INET ? 32 : 128;
	if (slash != NULL && parse_number(slash + 1, bits, &bits) == -1)
		return -1;
	memset(p, 0, sizeof(*p));
	p->family = a.family;
	p->bits = (uint8_t)(a.family == AF_INET ? bits + 96 : bits);
	memcpy(p->ip, a.ip, sizeof(p->ip));
	mask_ip(p->ip, p->bits);
	return memcmp(p->ip, a.ip, sizeof(p->ip)) == 0 ? 0 : -2;
}

char *addr_print_ip(const struct addr *a, char buf[ADDR_STRLEN])
{
	if (a->family == AF_INET)
		inet_ntop(AF_INET, a->ip + 12, buf, ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, a->ip, buf, ADDR_STRLEN);
	return buf;
}

char *addr_print(const struct addr *a, char buf[ADDR_STRLEN])
{
	char ip[ADDR_STRLEN];

	snprintf(buf, ADDR_STRLEN, a->family == AF_INET ? "%.45s:%u" : "[%.45s]:%u", addr_print_ip(a, ip), a->port);
	return buf;
}

char *prefix_print(const struct prefix *p, char buf[ADDR_STRLEN])
{
	struct addr a = { .family = p->family };
	char ip[ADDR_STRLEN];

	memcpy(a.ip, p->ip, sizeof(a.ip));
	snprintf(buf, ADDR_STRLEN, "%.45s/%u", addr_print_ip(&a, ip), p->family == AF_INET ? p->bits - 96u : p->bits);
	return buf;
}

int addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

	memset(a, 0, sizeof(*a));
	if (len >= sizeof(*in) && sa->sa_family == AF_INET) {
		memcpy(a->ip, mapped, sizeof(mapped));
		memcpy(a->ip + 12, &in->sin_addr, 4);
		a->port = ntohs(in->sin_port);
		a->family = AF_INET;
		return 0;
	}
	if (len >= sizeof(*in6) && sa->sa_family == AF_INET6) {
		memcpy(a->ip, &in6->sin6_addr, 16);
		a->port = ntohs(in6->sin6_port);
		a->family = memcmp(a->ip, mapped, sizeof(mapped)) == 0 ? AF_INET : AF_INET6;
		return 0;
	}
	return -1;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ss;

	memset(ss, 0, sizeof(*in6));
	if (a->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->ip + 12, 4);
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(a->port);
	memcpy(&in6->sin6_addr, a->ip, 16);
	return sizeof(*in6);
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t nought[16];

	return memcmp(a->ip + 12, nought, 4) == 0 &&
	    (a->family == AF_INET || memcmp(a->ip, nought, sizeof(nought)) == 0);
}

bool addr_is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->ip[12] == 127;
	return memcmp(a->ip, one, sizeof(one)) == 0;
}

bool prefix_covers(const struct prefix *p, const struct addr *a)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	if (p->family != a->family || memcmp(p->ip, a->ip, whole) != 0)
		return false;
	return rest == 0 || ((p->ip[whole] ^ a->ip[whole]) & (uint8_t)(0xff << (8 - rest))) == 0;
}

uint32_t addr_hash(const struct addr *a)
{
	uint64_t hi, lo, h;

	memcpy(&hi, a->ip, 8);
	memcpy(&lo, a->ip + 8, 8);
	h = (hi ^ ((uint64_t)a->port << 8 | a->family)) * 0x9e3779b97f4a7c15u;
	h = (h ^ (h >> 29) ^ lo) * 0xbf58476d1ce4e5b9u;		/* the mixing steps of splitmix64 */
	return (uint32_t)(h ^ (h >> 32));
}
