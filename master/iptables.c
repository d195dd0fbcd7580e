/* Which iptables there are, and which is the one to use: see iptables.h. */
#include "master/iptables.h"

#include "master/ruleset.h"
#include "master/saved.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *word;
	const char *programs[FAMILIES][2];	/* by enum iptables_verb */
} variants[VARIANTS] = {
	[VARIANT_NFT] = { "nft", { { "iptables-nft-save", "iptables-nft-restore" }, { "ip6tables-nft-save", "ip6tables-nft-restore" } } },
	[VARIANT_LEGACY] = { "legacy", { { "iptables-legacy-save", "iptables-legacy-restore" },
		{ "ip6tables-legacy-save", "ip6tables-legacy-restore" } } },
	[VARIANT_PLAIN] = { "plain", { { "iptables-save", "iptables-restore" }, { "ip6tables-save", "ip6tables-restore" } } },
};

static const struct {
	const char *word;
	int af;
	const char *there;		/* exists where the kernel has the family */
} families[FAMILIES] = {
	[FAMILY_IPV4] = { "ipv4", AF_INET, "/proc/net/dev" },
	[FAMILY_IPV6] = { "ipv6", AF_INET6, "/proc/net/if_inet6" },
};

const char *iptables_family(int family)
{
	return families[family].word;
}

int iptables_af(int family)
{
	return families[family].af;
}

bool iptables_family_is_there(int family)
{
	return access(families[family].there, F_OK) == 0;
}

const char *iptables_variant(enum variant v)
{
	return variants[v].word;
}

enum variant iptables_find_variant(const char *word)
{
	int v = 0;

	while (v < VARIANTS && strcmp(variants[v].word, word) != 0)
		v++;
	return (enum variant)v;
}

const char *iptables_program(enum variant v, int family, enum iptables_verb verb)
{
	return variants[v].programs[family][verb];
}

int iptables_find(const char *name, char *path_r, size_t size)
{
	static const char *const folders[] = { "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin" };

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path_r, size, "%s/%s", folders[i], name);
		if (access(path_r, X_OK) == 0)
			return 0;
	}
	return -1;
}

bool iptables_has(enum variant v, int family)
{
	char path[64];

	if (v == VARIANT_PLAIN && (iptables_has(VARIANT_NFT, family) || iptables_has(VARIANT_LEGACY, family)))
		return false;
	return iptables_find(variants[v].programs[family][IPTABLES_SAVE], path, sizeof(path)) == 0 &&
	    iptables_find(variants[v].programs[family][IPTABLES_RESTORE], path, sizeof(path)) == 0;
}

/* ---- choosing ---- */

struct content {
	bool ours, theirs;		/* rules or chains; an empty table is what somebody's look has left */
};

static struct content look(const char *text)
{
	struct saved s = saved_begin(text != NULL ? text : "");
	struct content c = { .ours = false };

	while (saved_next(&s)) {
		if (ruleset_owns(s.chain) || (s.is_rule && ruleset_owns(s.target)))
			c.ours = true;
		else if (s.is_rule || !s.built_in)
			c.theirs = true;
	}
	return c;
}

static enum variant usable(enum variant v, char *const saved[VARIANTS])
{
	return saved[v] != NULL ? v : VARIANTS;
}

enum variant iptables_choose(enum image_iptables how, char *const saved[VARIANTS])
{
	const struct content nft = look(saved[VARIANT_NFT]), legacy = look(saved[VARIANT_LEGACY]);

	if (how == IPTABLES_NFT)
		return usable(VARIANT_NFT, saved);
	if (how == IPTABLES_LEGACY)
		return usable(VARIANT_LEGACY, saved);
	if (nft.ours != legacy.ours)
		return nft.ours ? VARIANT_NFT : VARIANT_LEGACY;
	if (legacy.theirs)
		return VARIANT_LEGACY;
	if (saved[VARIANT_NFT] != NULL)
		return VARIANT_NFT;
	return saved[VARIANT_PLAIN] != NULL ? VARIANT_PLAIN : usable(VARIANT_LEGACY, saved);
}
