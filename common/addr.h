/*
 * IP addresses with a port, and prefixes, in one flat form that lies in an image as it is in memory.
 * IPv4 is kept as the IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), so that comparing is one memcmp; `family`
 * says what it was written as, because 192.0.2.1 and ::ffff:192.0.2.1 go to different sockets.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	uint8_t ip[16];		/* network order; IPv4 mapped */
	uint16_t port;		/* host order; 0: none */
	uint8_t family;		/* AF_INET or AF_INET6 */
	uint8_t zero[5];
};

struct prefix {
	uint8_t ip[16];		/* bits past `bits` are nought */
	uint8_t bits;		/* of the mapped form: 0-128, IPv4 is 96 + its own length */
	uint8_t family;
	uint8_t zero[6];
};

#define ADDR_STRLEN 56		/* "[ipv6]:65535" and its nought */

/* Text -> address.  "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; no names, no scopes.  -1: not one. */
int addr_parse_ip(const char *text, struct addr *);
/* "192.0.2.1:80", "[2001:db8::1]:80".  -1: not one, or the port is 0 or past 65535. */
int addr_parse(const char *text, struct addr *);
/* "203.0.113.0/24", "2001:db8::/32", or an address alone (all its bits).  -1: not one; -2: bits set past the length. */
int prefix_parse(const char *text, struct prefix *);

/* Address -> text.  Both return buf. */
char *addr_print_ip(const struct addr *, char buf[ADDR_STRLEN]);	/* no brackets, no port */
char *addr_print(const struct addr *, char buf[ADDR_STRLEN]);		/* ip:port, [ip]:port */
char *prefix_print(const struct prefix *, char buf[ADDR_STRLEN]);	/* ip/len */

/* A v4-mapped IPv6 socket address becomes AF_INET.  -1: another family. */
int addr_from_sockaddr(const struct sockaddr *, socklen_t, struct addr *);
socklen_t addr_to_sockaddr(const struct addr *, struct sockaddr_storage *);

bool addr_equal(const struct addr *, const struct addr *);		/* ip, port and family */
bool addr_same_ip(const struct addr *, const struct addr *);
bool addr_is_any(const struct addr *);					/* 0.0.0.0, :: */
bool addr_is_loopback(const struct addr *);				/* 127.0.0.0/8, ::1 */
bool prefix_covers(const struct prefix *, const struct addr *);		/* families must agree */
uint32_t addr_hash(const struct addr *);				/* ip, port, family; stable within one build */
