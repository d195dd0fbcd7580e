/*
 * Running iptables-save and iptables-restore: which programs there are, and one child with a deadline while the loop goes
 * on.
 */
#pragma once

#include "common/err.h"
#include "common/image.h"
#include "master/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

/* Two kinds keep their rules apart; a plain name stands for one of them, where no other name is installed. */
enum variant { VARIANT_NFT, VARIANT_LEGACY, VARIANT_PLAIN, VARIANTS };

enum iptables_verb { IPTABLES_SAVE, IPTABLES_RESTORE };

const char *iptables_family(int family);			/* "ipv4" */
const char *iptables_variant(enum variant);			/* "nft" */
enum variant iptables_find_variant(const char *word);		/* VARIANTS: none of that name */
/* "ip6tables-nft-restore" */
const char *iptables_program(enum variant, int family, enum iptables_verb);
/* Where a program lies.  -1: nowhere; no PATH is trusted. */
int iptables_find(const char *program, char *path_r, size_t size);
/* Both of its programs are installed.  The plain ones count only where neither of the other two kinds is. */
bool iptables_has(enum variant, int family);
/* The kernel has this family. */
bool iptables_family_is_there(int family);
int iptables_af(int family);

/* One run of one.  Everything but `done` and `arg` is its own. */
struct iptables_run {
	/* output: what it printed, the callee's to free.  NULL: *e says why not, with the remedy where one is known;
	 * `unusable`: it ended by itself, with an error. */
	void (*done)(void *arg, char *output, bool unusable, const struct err *e);
	void *arg;

	struct loop *loop;
	const char *name;
	pid_t pid;
	int pidfd, in_fd, out_fd, err_fd;
	struct source end;
	struct alarm deadline;
	bool late;
};

void iptables_init(struct iptables_run *, struct loop *);
/* input: NULL where there is none; counters: of iptables-save.  -1: it is not run, done is not called. */
int iptables_start(struct iptables_run *, enum variant, int family, enum iptables_verb, const char *input, bool counters,
    struct err *e);

/*
 * The kind to use for a family, as Istio chooses ("auto"): legacy where somebody has rules there, else nft, else the plain
 * one.  What is in by us already stays where it is.  saved[]: what each printed, NULL: it is not there, or unusable.
 * VARIANTS: none can be used.
 */
enum variant iptables_choose(enum image_iptables, char *const saved[VARIANTS]);
