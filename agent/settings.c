/* /meshd/settings: what the configuration says of the process and of interception, in the words of meshd.conf(5). */
#include "agent/answers.h"
#include "agent/text.h"

static json_t *words_of(const struct agent *a, struct image_range r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r.count; i++)
		json_array_append_new(list, text_json(image_text(&a->image, *image_word(&a->image, r.first + i))));
	return list;
}

static json_t *ports_of(const struct agent *a, struct image_range r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r.count; i++) {
		const struct image_port_range *p = image_port_range(&a->image, r.first + i);

		json_array_append_new(list, p->first == p->last ? json_sprintf("%u", p->first) :
		    json_sprintf("%u-%u", p->first, p->last));
	}
	return list;
}

static json_t *prefixes_of(const struct agent *a, struct image_range r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < r.count; i++) {
		char text[ADDR_STRLEN];

		json_array_append_new(list, json_string(prefix_print(image_prefix(&a->image, r.first + i), text)));
	}
	return list;
}

typedef json_t *list_fn(const struct agent *, struct image_range);

static json_t *all_or(bool all, list_fn *list, const struct agent *a, struct image_range r)
{
	return all ? json_string("*") : list(a, r);
}

/* What of the traffic is caught. */
static json_t *caught_json(const struct agent *a, const struct image_intercept *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}",
	    "include_inbound_ports", all_or(s->every_inbound_port, ports_of, a, s->include_inbound),
	    "exclude_inbound_ports", ports_of(a, s->exclude_inbound),
	    "include_outbound_ports", ports_of(a, s->include_outbound),
	    "exclude_outbound_ports", ports_of(a, s->exclude_outbound),
	    "include_outbound_ranges", all_or(s->every_outbound_range, prefixes_of, a, s->include_ranges),
	    "exclude_outbound_ranges", prefixes_of(a, s->exclude_ranges),
	    "exclude_interfaces", words_of(a, s->exclude_interfaces), "guest_interfaces", words_of(a, s->guest_interfaces),
	    "include_outbound_users", all_or(s->every_user, words_of, a, s->include_users),
	    "exclude_outbound_users", words_of(a, s->exclude_users),
	    "include_outbound_groups", all_or(s->every_group, words_of, a, s->include_groups),
	    "exclude_outbound_groups", words_of(a, s->exclude_groups),
	    "exclude_dns", s->exclude_dns, "drop_invalid", s->drop_invalid);
}

/* null: there are no virtual listeners. */
static json_t *intercept_json(const struct agent *a, const struct image_intercept *s)
{
	static const char *const modes[] = {
		[INTERCEPT_NONE] = "none", [INTERCEPT_REDIRECT] = "redirect", [INTERCEPT_TPROXY] = "tproxy",
	};
	static const char *const variants[] = { [IPTABLES_AUTO] = "auto", [IPTABLES_NFT] = "nft", [IPTABLES_LEGACY] = "legacy" };
	json_t *j, *caught;

	if (!s->configured)
		return json_null();
	j = json_pack("{s:s, s:b, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I}", "mode", modes[s->mode],
	    "in", live_get(&a->live.head->intercepting) != 0, "apply", s->manual ? "manual" : "automatic",
	    "iptables", variants[s->iptables], "outbound_port", (int)s->outbound_port, "outbound_last", (int)s->outbound_last,
	    "inbound_port", (int)s->inbound_port, "inbound_sources", (int)s->inbound_sources,
	    "tproxy_mark", (json_int_t)s->tproxy_mark, "tproxy_route_table", (json_int_t)s->tproxy_table);
	caught = caught_json(a, s);
	json_object_update(j, caught);
	json_decref(caught);
	return j;
}

static json_t *addresses_json(const struct agent *a, const struct image_settings *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->address_count; i++) {
		char text[ADDR_STRLEN];

		json_array_append_new(list, json_string(addr_print_ip(image_address(&a->image, s->first_address + i), text)));
	}
	return list;
}

/* Those that are bound; the way of traffic tells what a listener that is not bound may be reached by. */
static json_t *listeners_json(const struct agent *a)
{
	static const char *const directions[] = {
		[DIRECTION_NONE] = "none", [DIRECTION_INBOUND] = "inbound", [DIRECTION_OUTBOUND] = "outbound",
	};
	json_t *list = json_array();

	for (uint32_t i = 0; i < image_count(&a->image, SECTION_LISTENERS); i++) {
		const struct image_listener *l = image_listener(&a->image, i);
		json_t *binds = json_array();

		for (uint32_t b = 0; l->kind != LISTENER_REAL && b < l->bind_count; b++) {
			char text[ADDR_STRLEN];

			json_array_append_new(binds, json_string(addr_print(&image_bind(&a->image, l->first_bind + b)->addr, text)));
		}
		json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:I}", "name", text_json(image_text(&a->image, l->name)),
		    "direction", directions[l->direction], "binds", binds, "tcp_backlog_size", (json_int_t)l->backlog));
	}
	return list;
}

unsigned answer_settings(const struct agent *a, const struct query *q, FILE *out)
{
	const struct image_settings *s = image_settings(&a->image);
	json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:I, s:s, s:o, s:o, s:o}",
	    "user", text_json(image_text(&a->image, s->user)), "agent_user", text_json(image_text(&a->image, s->agent_user)),
	    "admin_group", text_json(image_text(&a->image, s->admin_group)),
	    "runtime_dir", text_json(image_text(&a->image, s->runtime_dir)),
	    "max_connections", (json_int_t)s->max_connections,
	    "outbound_traffic_policy", s->outbound_traffic_policy == POLICY_REGISTRY_ONLY ? "REGISTRY_ONLY" : "ALLOW_ANY",
	    "addresses", addresses_json(a, s), "listeners", listeners_json(a), "intercept", intercept_json(a, &s->intercept));

	(void)q;
	return text_dump(j, out) == 0 ? 200 : 500;
}
