/*
 * This host's own addresses, kept in `live` for the check that no listener of ours is ever dialled: those of its
 * interfaces, as rtnetlink tells of them, and node.address of the newest generation.
 */
#pragma once

#include "common/err.h"

struct addresses;
struct master;

struct addresses *addresses_open(struct master *, struct err *e);
/* Reads all of them again. */
void addresses_refresh(struct addresses *);
