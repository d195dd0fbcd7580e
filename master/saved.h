/* Walking through what iptables-save prints, with counters (-c) or without. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SAVED_NAME 64

struct saved {
	const char *at;				/* the rest */
	char table[SAVED_NAME];
	/* of the line: */
	bool is_rule;				/* else it says that there is a chain */
	bool built_in;				/* that chain */
	char chain[SAVED_NAME];
	const char *rule;			/* what stands after "-A CHAIN " */
	int length;
	char target[SAVED_NAME];		/* of -j or -g; "" */
	bool goes;				/* by -g */
	uint64_t packets, bytes;
};

static inline struct saved saved_begin(const char *text)
{
	return (struct saved){ .at = text };
}

/* The next chain or rule.  False: there is none. */
bool saved_next(struct saved *);

/* A word of a rule, without quotes.  False: there is none. */
bool saved_word(const char **at, const char *end, char *to, unsigned size);
