/* Keys of intercept = { } that do not belong together: see check.h. */
#include "conf/check.h"

#include "conf/keys.h"

#include <string.h>

#define REPORT(r, i, key, ...) report_key(r, &(i)->origin, key, IMAGE_NONE, key_line(&(i)->origin, key), __VA_ARGS__)

/* One port is both, or each direction has its own. */
static void check_ports(const struct intercept *i, struct report *r)
{
	static const char *const directions[] = { "outbound_port", "inbound_port" };
	const char *second = key_given(&i->origin, "inbound_port") ? "inbound_port" : "outbound_port";

	for (size_t k = 0; i->port != 0 && k < 2; k++) {
		if (key_given(&i->origin, directions[k]))
			REPORT(r, i, directions[k], "cannot be with port, which is one for both directions");
	}
	if (i->port != 0 && i->mode == INTERCEPT_TPROXY)
		REPORT(r, i, "port", "cannot be with mode = \"tproxy\", where each direction needs its own: outbound_port, inbound_port");
	if (i->port != 0 || i->inbound_port < i->outbound_port.first || i->inbound_port > i->outbound_port.last)
		return;
	if (i->outbound_port.first == i->outbound_port.last)
		REPORT(r, i, second, "one port for both directions is written as port = %u", i->outbound_port.first);
	else
		REPORT(r, i, second, "%u is in outbound_port and inbound_port: each direction needs its own", (unsigned)i->inbound_port);
}

static void check_tproxy(const struct intercept *i, struct report *r)
{
	static const char *const keys[] = { "tproxy_mark", "tproxy_route_table" };

	for (size_t k = 0; i->mode != INTERCEPT_TPROXY && k < 2; k++) {
		if (key_given(&i->origin, keys[k]))
			REPORT(r, i, keys[k], "is of mode = \"tproxy\" only");
	}
	if (i->tproxy_table >= INTERCEPT_TABLES_OWN_FIRST && i->tproxy_table <= INTERCEPT_TABLES_OWN_LAST)
		REPORT(r, i, "tproxy_route_table", "%u to %u are the system's own (default, main, local)", INTERCEPT_TABLES_OWN_FIRST,
		    INTERCEPT_TABLES_OWN_LAST);
}

static void check_interfaces(const struct intercept *i, struct report *r)
{
	for (uint32_t g = 0; g < i->guest_interfaces.count; g++) {
		const struct interface_item *guest = LIST_AT(i->guest_interfaces, struct interface_item, g);

		for (uint32_t k = 0; k < i->exclude_interfaces.count; k++) {
			if (strcmp(LIST_AT(i->exclude_interfaces, struct interface_item, k)->name, guest->name) == 0)
				report_key(r, &i->origin, "guest_interfaces", g, guest->line, "\"%s\" is in exclude_interfaces, too", guest->name);
		}
	}
}

void check_intercept(const struct intercept *i, struct report *r)
{
	if (i->origin.flawed)
		return;					/* what could not be read would only seem to be missing */
	check_ports(i, r);
	check_tproxy(i, r);
	check_interfaces(i, r);
	if (!i->include_inbound.every && i->exclude_inbound.count > 0)
		REPORT(r, i, "exclude_inbound_ports", "cannot be with a list of include_inbound_ports: other ports are not caught anyway");
}
