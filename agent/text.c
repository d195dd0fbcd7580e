/* Pieces of JSON: see text.h. */
#include "agent/text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

json_t *text_json(const char *text)
{
	json_t *j = json_string(text);
	char *plain;

	if (j != NULL || (plain = strdup(text)) == NULL)
		return j;
	for (char *c = plain; *c != '\0'; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	j = json_string(plain);
	free(plain);
	return j;
}

json_t *text_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000u);
	char day[40];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL || strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		return json_string("");
	return json_sprintf("%s.%03uZ", day, (unsigned)(ns / 1000000u % 1000u));
}

json_t *text_duration(uint64_t ms)
{
	if (ms % 1000 == 0)
		return json_sprintf("%llus", (unsigned long long)(ms / 1000));
	return json_sprintf("%llu.%03us", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

json_t *text_address(const struct addr *a)
{
	char ip[ADDR_STRLEN];

	return json_pack("{s:{s:s, s:i}}", "socket_address", "address", addr_print_ip(a, ip), "port_value", (int)a->port);
}

const char *text_balancer(const struct image_cluster *c)
{
	static const char *const words[] = {
		[BALANCER_ROUND_ROBIN] = "ROUND_ROBIN", [BALANCER_CLUSTER_PROVIDED] = "CLUSTER_PROVIDED",
		[BALANCER_LEAST_REQUEST] = "LEAST_REQUEST", [BALANCER_RANDOM] = "RANDOM",
	};

	return words[c->balancer];
}

json_t *text_breakers(const struct image_cluster *c)
{
	json_t *limits = json_object();

	if (c->max_connections != 0)
		json_object_set_new(limits, "max_connections", json_integer(c->max_connections));
	if (c->max_pending_requests != 0)
		json_object_set_new(limits, "max_pending_requests", json_integer(c->max_pending_requests));
	if (c->max_requests != 0)
		json_object_set_new(limits, "max_requests", json_integer(c->max_requests));
	if (json_object_size(limits) == 0) {
		json_decref(limits);
		return NULL;
	}
	return json_pack("{s:[o]}", "thresholds", limits);
}

uint64_t text_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int text_dump(json_t *j, FILE *out)
{
	int r = j != NULL ? json_dumpf(j, out, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : -1;

	json_decref(j);
	return r == -1 || fputc('\n', out) == EOF ? -1 : 0;
}

void text_item(struct text_list *l, json_t *item)
{
	if (l->n++ > 0)
		fputs(",\n", l->out);
	if (item == NULL || json_dumpf(item, l->out, JSON_INDENT(1) | JSON_ENCODE_ANY) == -1)
		l->failed = true;
	json_decref(item);
}
