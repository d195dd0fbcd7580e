/* Setters of keys.c for what has to do with addresses, ports and whose they are: as key_set(). */
#pragma once

#include "conf/keys.h"

int key_set_addr(const struct key *, const struct scalar *, void *slot, struct err *e);
int key_set_prefix(const struct key *, const struct scalar *, void *slot, struct err *e);
int key_set_port(const struct key *, const struct scalar *, void *slot, struct err *e);
int key_set_ports(const struct key *, const struct scalar *, void *slot, struct err *e);
int key_set_owner(const struct key *, const struct scalar *, void *slot, struct err *e);
int key_set_interface(const struct key *, const struct scalar *, void *slot, struct err *e);
