/*
 * Every key of the configuration, once: its name, type, range, default, and whether a reload may change it.  Readers,
 * the printer, the manual's test and the tests of wrong values all walk these rows.
 */
#pragma once

#include "common/err.h"
#include "conf/memory.h"
#include "conf/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {			/* what `offset` leads to; what min and max count */
	KEY_TEXT,		/* const char *; bytes */
	KEY_PATH,		/* const char *, absolute or, if min is 0, ""; bytes */
	KEY_ACCOUNT,		/* const char *, name of a user or group; bytes */
	KEY_BOOL,		/* uint64_t */
	KEY_INTEGER,		/* uint64_t */
	KEY_MILLISECONDS,	/* uint64_t, from "250ms", "15s", "10min", "1h" */
	KEY_SECONDS,		/* uint64_t, the same in whole seconds */
	KEY_SIZE,		/* uint64_t, from 65536, "64k", "1m" */
	KEY_WORD,		/* uint64_t, one of `words` */
	KEY_WORDS,		/* uint64_t, a list of `words`, whose values are bits */
	KEY_ENDPOINT,		/* struct addr_item, "ip:port" */
	KEY_ENDPOINTS,		/* struct list of addr_item, "ip:port" or an object of the group; members */
	KEY_IPS,		/* struct list of addr_item without ports, or one alone; members */
	KEY_PREFIXES,		/* struct list of prefix_item; members */
	KEY_PORT,		/* struct image_port_range, from 80, "8000-8009", at most INTERCEPT_PORTS_MAX; the ports */
	KEY_PORTS,		/* struct list of port_item, from 22, "8000-8099"; members */
	KEY_OWNERS,		/* struct list of owner_item, from "www", 1000, "1000-1999"; members */
	KEY_INTERFACES,		/* struct list of interface_item, from "eth0", "veth+"; members */
	KEY_GROUP,		/* a pointer to an object, NULL where it is absent */
	KEY_GROUPS,		/* struct list of objects; members */
	KEY_LATER,		/* known, not supported yet: refused by name */
	KEY_ELSEWHERE,		/* another program's name for a key of the group, `about`: refused with that */
};

#define KEY_REQUIRED	1u
#define KEY_START_ONLY	2u	/* a reload that changes it is refused */
#define KEY_ALWAYS	4u	/* a group that is there, with its defaults, where the file has none */
#define KEY_PLAIN	8u	/* expands into full forms; not in the expanded file */
#define KEY_EVERY	16u	/* of a list: "*" may stand in its place, and an empty one is something else than none */

struct key_word {
	const char *word;
	uint64_t value;
	bool later;		/* not supported yet */
};

struct key {
	const char *name;
	enum key_type type;
	unsigned flags;
	size_t offset;
	const char *min, *max, *def;		/* as one writes them; def NULL: none, or found by expand.c */
	const struct key_word *words;		/* KEY_WORD: ends with NULL */
	const struct key_group *group;		/* KEY_GROUP, KEY_GROUPS */
	uint64_t kinds;				/* bits: of objects of these kinds only; 0: of all */
	const char *about;			/* for people */
};

struct key_group {
	const char *name;
	size_t size;
	const struct key *keys;
	uint32_t count;
	const char *kind;			/* the KEY_WORD that says which kind an object is; NULL: there is one */
};

extern const struct key_group keys_top;

/* One value without members, as a reader found it. */
struct scalar {
	enum { SCALAR_INTEGER, SCALAR_TEXT, SCALAR_BOOL, SCALAR_FLOAT } kind;
	int64_t integer;
	const char *text;			/* lives as long as the model */
	bool truth;
};

/* Puts a value, or one member of a list, where it belongs.  -1: *e has the reason, *slot is as it was. */
int key_set(const struct key *, const struct scalar *, void *slot, struct err *e);

/* What a value must look like, for errors about its type. */
const char *key_type_words(const struct key *);

bool key_is_account(const char *text);		/* can be a user's or group's name */
bool key_is_list(enum key_type);
size_t key_item_size(const struct key *);	/* of a list's members */
/* -1: fewer or more members than the row allows. */
int key_check_count(const struct key *, uint32_t count, struct err *e);

const struct key *key_find(const struct key_group *, const char *name);
/* The known key, or the word, that is most like it; NULL: none is. */
const char *key_nearest(const struct key_group *, const char *name);

/* Is it a key of objects of this one's kind? */
bool key_fits(const struct key *, const void *object);
/* The word of an object's kind. */
const char *key_kind_word(const void *object);

/* Object of a group: origin and defaults are set. */
void key_init(const struct key_group *, void *object, const struct origin *at, struct arena *);

/* The line where that key of the object was written, else the object's own. */
uint32_t key_line(const struct origin *, const char *name);
bool key_given(const struct origin *, const char *name);
