/* Small pieces of JSON and time that several answers need. */
#pragma once

#include "common/addr.h"
#include "common/image.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A string; bytes that are no UTF-8 become '?', since what an answer shows may come from anywhere. */
json_t *text_json(const char *);
/* RFC 3339, UTC, milliseconds; of CLOCK_REALTIME. */
json_t *text_time(uint64_t ns);
/* As protobuf's JSON has it: "5s", "0.250s". */
json_t *text_duration(uint64_t ms);
/* {"socket_address": {"address": ..., "port_value": ...}} */
json_t *text_address(const struct addr *);
/* As Envoy's lb_policy: "LEAST_REQUEST". */
const char *text_balancer(const struct image_cluster *);
/* {"thresholds": [{"max_connections": ..., "max_requests": ...}]}, Envoy's circuit_breakers; NULL: the cluster has none of these limits. */
json_t *text_breakers(const struct image_cluster *);
uint64_t text_now_ns(void);

/* Writes and frees; NULL (no memory somewhere on the way) writes nothing.  -1: nothing or half of it is written. */
int text_dump(json_t *, FILE *out);

/* The items of an array, written as they are made: one tree of all of them is ten times as large as their text. */
struct text_list {
	FILE *out;
	size_t n;
	bool failed;
};
/* Frees the item; NULL: the list has failed. */
void text_item(struct text_list *, json_t *item);
