/* Addresses, ports, owners, interfaces: see keys_net.h. */
#include "conf/keys_net.h"

#include <stdlib.h>
#include <string.h>

int key_set_addr(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	bool with_port = k->type != KEY_IPS;
	struct addr a;

	if (v->kind != SCALAR_TEXT)
		return err_set(e, k->type == KEY_IPS ? "must be an IP address in a string" : k->type == KEY_ENDPOINT ?
		    "must be \"address:port\"" : "must be \"address:port\" or { address = ...; weight = ...; }");
	if ((with_port ? addr_parse(v->text, &a) : addr_parse_ip(v->text, &a)) == -1)
		return err_set(e, with_port ? "\"%.64s\" is not \"address:port\" (IPv6: \"[address]:port\")" :
		    "\"%.64s\" is not an IP address", v->text);
	if (with_port && addr_is_any(&a))
		return err_set(e, "\"%.64s\" is no address to connect to", v->text);
	((struct addr_item *)slot)->addr = a;
	return 0;
}

int key_set_prefix(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	struct prefix p;
	int r;

	if (v->kind != SCALAR_TEXT)
		return err_set(e, "must be \"address/length\"");
	if (k->flags & KEY_EVERY && strcmp(v->text, "*") == 0)
		return err_set(e, "\"*\" stands alone, in place of the list");
	if ((r = prefix_parse(v->text, &p)) == -1)
		return err_set(e, "\"%.64s\" is not \"address/length\"", v->text);
	if (r == -2)
		return err_set(e, "\"%.64s\" has bits set past its length", v->text);
	((struct prefix_item *)slot)->prefix = p;
	return 0;
}

/* "first-last", or (where one is enough) a number alone.  -1: neither, or not within the limits. */
static int parse_span(const char *text, bool one, unsigned long long min, unsigned long long max, uint32_t *first_r,
    uint32_t *last_r)
{
	size_t left = strspn(text, "0123456789"), right = text[left] == '-' ? strspn(text + left + 1, "0123456789") : 0;
	unsigned long long first = strtoull(text, NULL, 10), last = first;

	if (left == 0 || left > 10 || right > 10)
		return -1;
	if (right > 0)
		last = strtoull(text + left + 1, NULL, 10);
	if (right > 0 ? text[left + 1 + right] != '\0' : !one || text[left] != '\0')
		return -1;
	if (first < min || last > max || first > last)
		return -1;
	*first_r = (uint32_t)first;
	*last_r = (uint32_t)last;
	return 0;
}

static int parse_ports(const struct key *k, const struct scalar *v, struct image_port_range *r, struct err *e)
{
	uint32_t first, last;

	if (v->kind == SCALAR_INTEGER) {
		if (v->integer < 1 || v->integer > 65535)
			return err_set(e, "%lld is out of range (1 to 65535)", (long long)v->integer);
		*r = (struct image_port_range){ (uint16_t)v->integer, (uint16_t)v->integer };
		return 0;
	}
	if (v->kind != SCALAR_TEXT)
		return err_set(e, "must be a port, or \"first-last\"");
	if (k->flags & KEY_EVERY && strcmp(v->text, "*") == 0)
		return err_set(e, "\"*\" stands alone, in place of the list");
	if (parse_span(v->text, false, 1, 65535, &first, &last) == -1)
		return err_set(e, "\"%.64s\" is not \"first-last\" within 1 to 65535", v->text);
	*r = (struct image_port_range){ (uint16_t)first, (uint16_t)last };
	return 0;
}

int key_set_port(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	struct image_port_range r;

	if (parse_ports(k, v, &r, e) == -1)
		return -1;
	if (r.last - r.first >= INTERCEPT_PORTS_MAX)
		return err_set(e, "\"%.64s\" are %d ports, at most %d can be", v->text, r.last - r.first + 1, INTERCEPT_PORTS_MAX);
	*(struct image_port_range *)slot = r;
	return 0;
}

int key_set_ports(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	return parse_ports(k, v, &((struct port_item *)slot)->range, e);
}

#define OWNER_MAX (UINT32_MAX - 1)		/* the last number is nobody's: chown(2) takes it for "as it is" */

int key_set_owner(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	struct owner_item *o = slot;

	if (v->kind == SCALAR_INTEGER) {
		if (v->integer < 0 || v->integer > OWNER_MAX)
			return err_set(e, "%lld is out of range (0 to %u)", (long long)v->integer, OWNER_MAX);
		o->first = o->last = (uint32_t)v->integer;
		return 0;
	}
	if (v->kind != SCALAR_TEXT)
		return err_set(e, "must be a name, a number, or \"first-last\"");
	if (k->flags & KEY_EVERY && strcmp(v->text, "*") == 0)
		return err_set(e, "\"*\" stands alone, in place of the list");
	if (parse_span(v->text, true, 0, OWNER_MAX, &o->first, &o->last) == 0)
		return 0;
	if (!key_is_account(v->text) || strlen(v->text) > IMAGE_OWNER_MAX)
		return err_set(e, "\"%.64s\" is not a name of a user or group, a number, or \"first-last\" of numbers", v->text);
	o->name = v->text;
	return 0;
}

int key_set_interface(const struct key *k, const struct scalar *v, void *slot, struct err *e)
{
	(void)k;
	if (v->kind != SCALAR_TEXT)
		return err_set(e, "must be a name of an interface in a string");
	if (!image_is_interface(v->text))
		return err_set(e, "\"%.64s\" is not a name of an interface", v->text);
	((struct interface_item *)slot)->name = v->text;
	return 0;
}
