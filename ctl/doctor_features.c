/*
 * doctor: the parts of netfilter that rules need.  A module that is loaded, built in or on the disk is there.  Where none
 * of that can be told (no modules at all, or no list of what is built in), root tries a rule in an empty network namespace:
 * there is nothing then that could be loaded by it.
 */
#include "ctl/doctor.h"
#include "ctl/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct feature {
	const char *check;
	char modules[2][16];		/* any of them will do */
	const char *table, *rule;	/* that needs it */
	bool for_tproxy;		/* and for nothing else */
	const char *option;		/* CONFIG_... */
} features[] = {
	{ "conntrack", { "nf_conntrack" }, "mangle", "-A PREROUTING -m conntrack --ctstate INVALID -j RETURN", false, "NF_CONNTRACK" },
	{ "nat", { "nf_nat" }, "nat", "-A OUTPUT -p tcp -j REDIRECT --to-ports 1", false, "NF_NAT and NETFILTER_XT_TARGET_REDIRECT" },
	{ "owner match", { "xt_owner" }, "nat", "-A OUTPUT -m owner --uid-owner 1 -j RETURN", false, "NETFILTER_XT_MATCH_OWNER" },
	{ "address type match", { "xt_addrtype" }, "nat", "-A PREROUTING -m addrtype ! --dst-type LOCAL -j RETURN", false,
	  "NETFILTER_XT_MATCH_ADDRTYPE" },
	{ "TPROXY", { "xt_TPROXY" }, "mangle", "-A PREROUTING -p tcp -j TPROXY --on-port 1 --tproxy-mark 1", true,
	  "NETFILTER_XT_TARGET_TPROXY" },
	{ "connmark", { "xt_connmark", "xt_CONNMARK" }, "mangle", "-A OUTPUT -m connmark --mark 1 -j CONNMARK --restore-mark", true,
	  "NETFILTER_XT_CONNMARK" },
};

enum place { PLACE_UNKNOWN, PLACE_LOADED, PLACE_BUILT_IN, PLACE_DISK };

/* modules.dep and modules.builtin: a path a line, "kernel/net/netfilter/xt_owner.ko.xz:". */
static bool is_listed(const char *list, const char *module)
{
	char path[512], line[4096], wanted[64];
	struct utsname u;
	bool found = false;
	FILE *f;

	uname(&u);
	snprintf(path, sizeof(path), "/lib/modules/%.200s/%s", u.release, list);
	snprintf(wanted, sizeof(wanted), "/%s.ko", module);
	if ((f = fopen(path, "re")) == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, ":\n")] = '\0';		/* what it depends on is not asked */
		found = strstr(line, wanted) != NULL;
	}
	fclose(f);
	return found;
}

static enum place find_module(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	if (access(path, F_OK) == 0)
		return PLACE_LOADED;
	if (is_listed("modules.builtin", module))
		return PLACE_BUILT_IN;
	return is_listed("modules.dep", module) ? PLACE_DISK : PLACE_UNKNOWN;
}

static enum place find_feature(const struct feature *f)
{
	enum place place = PLACE_UNKNOWN;

	for (size_t i = 0; i < 2 && f->modules[i][0] != '\0' && place == PLACE_UNKNOWN; i++)
		place = find_module(f->modules[i]);
	return place;
}

/* 0: the rule was taken; -1: it was not; -2: it could not be tried. */
static int try_rule(const struct feature *f, struct err *e)
{
	static const char *const argv[] = { "iptables-restore", NULL };
	char text[256];
	const struct run r = { .argv = argv, .input = text, .netns = -1, .empty_netns = true };

	snprintf(text, sizeof(text), "*%s\n%s\nCOMMIT\n", f->table, f->rule);
	if (run_program(&r, NULL, e) == 0)
		return 0;
	return errno == ENOENT ? -2 : -1;
}

static void check_feature(struct doctor *d, const struct feature *f)
{
	static const char *const words[] = {
		[PLACE_LOADED] = "loaded", [PLACE_BUILT_IN] = "built in", [PLACE_DISK] = "on the disk, as a module",
	};
	bool needed = !f->for_tproxy || strcmp(json_text(doctor_intercept(d), "mode"), "tproxy") == 0;
	enum place place = find_feature(f);
	char remedy[160];
	struct err e;
	int tried;

	snprintf(remedy, sizeof(remedy), "modprobe %.30s, or a kernel with CONFIG_%.80s", f->modules[0], f->option);
	if (place == PLACE_DISK && doctor_number("/proc/sys/kernel/modules_disabled") == 1)
		doctor_say(d, f->check, needed ? FINDING_BAD : FINDING_WARNING,
		    "load it at boot (/etc/modules-load.d) before kernel.modules_disabled is set", "%s is not loaded, and none can be any more",
		    f->modules[0]);
	else if (place != PLACE_UNKNOWN)
		doctor_say(d, f->check, FINDING_OK, NULL, "%s", words[place]);
	else if (!d->root)
		doctor_say(d, f->check, FINDING_UNSEEN, "run it as root", "whether the kernel has it");
	else if ((tried = try_rule(f, &e)) == 0)
		doctor_say(d, f->check, FINDING_OK, NULL, "the kernel has it");
	else
		doctor_say(d, f->check, tried == -2 ? FINDING_UNSEEN : needed ? FINDING_BAD : FINDING_WARNING,
		    tried == -2 ? "apt-get install iptables" : remedy, "%s", e.text);
}

void doctor_features(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		check_feature(d, &features[i]);
}
