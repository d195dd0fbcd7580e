/* The command line: see options.h. */
#include "ctl/options.h"

#include "common/control.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_PREFIX_MAX 64

void ctl_complain(const char *fmt, ...)
{
	va_list ap;

	fputs("meshctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* "proxy-config all: "; nothing where no command is known yet. */
static const char *name_prefix(const struct ctl *c, char to[NAME_PREFIX_MAX])
{
	const struct command *p = c->parent;

	to[0] = '\0';
	if (c->command != NULL)
		snprintf(to, NAME_PREFIX_MAX, "%s%s%s: ", p != NULL ? p->name : "", p != NULL ? " " : "", c->command->name);
	return to;
}

/* ---- what a command reads ---- */

static int flag_index(const struct command *command, const char *name)
{
	for (int i = 0; command->flags != NULL && command->flags[i].name != NULL; i++) {
		if (strcmp(command->flags[i].name, name) == 0)
			return i;
	}
	return -1;
}

const char *ctl_flag(const struct ctl *c, const char *name)
{
	int i = flag_index(c->command, name);

	return i == -1 ? NULL : c->given[i];
}

bool ctl_switch(const struct ctl *c, const char *name, bool otherwise)
{
	const char *value = ctl_flag(c, name);

	return value == NULL ? otherwise : strcmp(value, "false") != 0;
}

int ctl_port(const struct ctl *c, const char *name)
{
	const char *value = ctl_flag(c, name);
	uint64_t port;

	if (value == NULL)
		return 0;
	if (ctl_number(value, 65535, &port) && port != 0)
		return (int)port;
	ctl_complain("--%s %s: not a port", name, value);
	return -1;
}

/* "TCP, HTTP or UNKNOWN" */
static void print_choice(const char *const *words, char *to, size_t room)
{
	size_t used = 0;

	for (size_t i = 0; words[i] != NULL && used < room; i++)
		used += (size_t)snprintf(to + used, room - used, "%s%s", i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ", words[i]);
}

int ctl_word(const struct ctl *c, const char *name, const char *const *words)
{
	const char *value = ctl_flag(c, name);
	char choice[128];

	if (value == NULL)
		return 0;
	for (size_t i = 0; words[i] != NULL; i++) {
		if (strcasecmp(value, words[i]) == 0)
			return 0;
	}
	print_choice(words, choice, sizeof(choice));
	ctl_complain("--%s %s: %s is needed", name, value, choice);
	return -1;
}

int ctl_address(const struct ctl *c, const char *name, char to[ADDR_STRLEN], const char **address_r)
{
	const char *value = ctl_flag(c, name);
	struct addr a;

	*address_r = NULL;
	if (value == NULL)
		return 0;
	if (addr_parse_ip(value, &a) == -1) {
		ctl_complain("--%s %s: an IP address is needed", name, value);
		return -1;
	}
	*address_r = addr_print_ip(&a, to);
	return 0;
}

bool ctl_number(const char *text, uint64_t most, uint64_t *number_r)
{
	char *end;

	errno = 0;
	*number_r = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *number_r <= most;
}

/* As meshd.conf(5) has them.  False: not one, or past `most`. */
static bool duration_ms(const char *text, uint32_t most, uint32_t *ms_r)
{
	static const struct { const char *word; uint32_t ms; } units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 },
	};
	size_t n = strspn(text, "0123456789");
	uint64_t number;
	char digits[16];

	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + n, units[i].word) != 0)
			continue;
		if (!ctl_number(digits, most / units[i].ms, &number))
			return false;
		*ms_r = (uint32_t)number * units[i].ms;
		return true;
	}
	return false;
}

int ctl_duration(const struct ctl *c, const char *name, uint32_t most_ms, uint32_t *ms_r)
{
	const char *value = ctl_flag(c, name);

	if (value == NULL || (duration_ms(value, most_ms, ms_r) && *ms_r != 0))
		return 0;
	if (most_ms % 3600000 == 0)
		ctl_complain("--%s %s: a time such as 30s is needed, at most %uh", name, value, most_ms / 3600000);
	else
		ctl_complain("--%s %s: a time such as 30s is needed, at most %umin", name, value, most_ms / 60000);
	return -1;
}

/* ---- words ---- */

static void print_flag(FILE *to, const struct flag *f)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s%s", f->name[1] == '\0' ? "-" : "--", f->name, f->value != NULL ? " " : "",
	    f->value != NULL ? f->value : "");
	fprintf(to, "  %-24s %s\n", left, f->words);
}

static void print_command(FILE *to, const struct command *c)
{
	char left[64];

	snprintf(left, sizeof(left), "%s%s%s", c->name, c->alias != NULL ? "|" : "", c->alias != NULL ? c->alias : "");
	fprintf(to, "  %-24s %s\n", left, c->words);
}

void options_usage_of(FILE *to, const struct ctl *ctl)
{
	const struct command *c = ctl->command, *p = ctl->parent;

	fprintf(to, "usage: meshctl %s%s%s", p != NULL ? p->name : "", p != NULL ? " " : "", c->name);
	if (c->sub != NULL)
		fputs(c->run == NULL ? " COMMAND" : " [COMMAND]", to);
	fprintf(to, "%s%s%s\n%s\n", c->flags != NULL ? " [FLAGS]" : "", c->operands != NULL ? " " : "",
	    c->operands != NULL ? c->operands : "", c->words);
	for (const struct command *s = c->sub; s != NULL && s->name != NULL; s++)
		print_command(to, s);
	for (const struct flag *f = c->flags; f != NULL && f->name != NULL; f++)
		print_flag(to, f);
}

void options_usage(FILE *to, const struct command *commands)
{
	static const struct flag global[] = {
		{ "r", "RUNDIR", "the folder of meshd's sockets (" RUNDIR_DEFAULT ")", false },
		{ "o", "FORM", "short, json or yaml", false }, { "h", NULL, "help", false },
	};

	fputs("usage: meshctl [-r RUNDIR] [-o short|json|yaml] COMMAND ...\n", to);
	for (size_t i = 0; i < sizeof(global) / sizeof(global[0]); i++)
		print_flag(to, &global[i]);
	for (const struct command *c = commands; c->name != NULL; c++)
		print_command(to, c);
	fputs("meshctl COMMAND -h says more about one; meshctl(1) says all.\n", to);
}

/* ---- parsing ---- */

#define FIRST_FLAG 256			/* what getopt_long(3) gives for the command's first long flag */

struct parse {
	char letters[32];
	struct option longs[CTL_FLAGS_MAX + 4];
};

static void prepare(struct parse *p, const struct command *c, bool stop_at_word)
{
	static const struct option global[] = {
		{ "rundir", required_argument, NULL, 'r' }, { "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
	};
	int n = 3;

	memset(p, 0, sizeof(*p));
	snprintf(p->letters, sizeof(p->letters), "%sr:o:h", stop_at_word ? "+" : "");
	memcpy(p->longs, global, sizeof(global));
	for (int i = 0; c != NULL && c->flags != NULL && c->flags[i].name != NULL; i++) {
		const struct flag *f = &c->flags[i];

		if (f->name[1] == '\0')
			strncat(strcat(p->letters, f->name), f->value != NULL ? ":" : "", 2);
		else
			p->longs[n++] = (struct option){ f->name, f->value != NULL ? required_argument : optional_argument,
			    NULL, FIRST_FLAG + i };
	}
}

static int take_flag(struct ctl *c, int index, const char *value)
{
	const struct flag *f = &c->command->flags[index];

	if (f->value == NULL && value == NULL)
		value = "true";
	if (f->value == NULL && strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
		ctl_complain("--%s=%s: true or false is needed", f->name, value);
		return -1;
	}
	if (!f->repeated) {
		c->given[index] = value;
		return 0;
	}
	if (c->nfolders == (int)(sizeof(c->folders) / sizeof(c->folders[0]))) {
		ctl_complain("-%s: more than %d", f->name, c->nfolders);
		return -1;
	}
	c->folders[c->nfolders++] = value;
	return 0;
}

/* Flags up to the first word (stop_at_word) or all of them. */
static int take_flags(struct ctl *c, const char **form_r, int argc, char *argv[], bool stop_at_word)
{
	char prefix[NAME_PREFIX_MAX], who[NAME_PREFIX_MAX + 16], *word = argv[0];
	struct parse p;
	int got, r = 0;

	prepare(&p, c->command, stop_at_word);
	/* getopt(3) complains in the name of the first word */
	snprintf(who, sizeof(who), "meshctl: %s", name_prefix(c, prefix));
	who[strlen(who) - 2] = '\0';
	argv[0] = who;
	optind = 0;			/* glibc: begin anew */
	while (r == 0 && (got = getopt_long(argc, argv, p.letters, p.longs, NULL)) != -1) {
		const char letter[2] = { (char)got, '\0' };

		if (got == 'r')
			c->rundir = optarg;
		else if (got == 'o')
			*form_r = optarg;
		else if (got == 'h')
			r = 1;
		else if (got == '?')
			r = -1;
		else
			r = take_flag(c, got >= FIRST_FLAG ? got - FIRST_FLAG : flag_index(c->command, letter), optarg);
	}
	argv[0] = word;
	return r;
}

static const struct command *find(const struct command *c, const char *name)
{
	for (; c->name != NULL; c++) {
		if (strcmp(c->name, name) == 0 || (c->alias != NULL && strcmp(c->alias, name) == 0))
			return c;
	}
	return NULL;
}

static bool any_given(const struct ctl *c)
{
	for (int i = 0; i < CTL_FLAGS_MAX; i++) {
		if (c->given[i] != NULL)
			return true;
	}
	return false;
}

/* The word that names the command, and where it has them, its subcommand. */
static int take_words(struct ctl *c, const struct command *commands, const char **form_r, int *argc, char ***argv)
{
	char prefix[NAME_PREFIX_MAX];

	while (commands != NULL) {
		const struct command *found;
		int r = take_flags(c, form_r, *argc, *argv, true);

		if (r != 0)
			return r;
		*argc -= optind;
		*argv += optind;
		if (*argc == 0 && c->command != NULL && c->command->run != NULL) {
			++*argc;		/* back to the word before: getopt(3) begins after it */
			--*argv;
			return 0;
		}
		if (*argc == 0) {
			ctl_complain("%sa command is needed", name_prefix(c, prefix));
			return -1;
		}
		if ((found = find(commands, (*argv)[0])) == NULL) {
			ctl_complain("%sno command \"%s\"", name_prefix(c, prefix), (*argv)[0]);
			return -1;
		}
		if (any_given(c)) {
			ctl_complain("%s %s: flags belong after it", c->command->name, found->name);
			return -1;
		}
		c->parent = c->command;
		c->command = found;
		commands = found->sub;
	}
	return 0;
}

int options_parse(struct ctl *c, const struct command *commands, const char **form_r, int argc, char *argv[])
{
	char prefix[NAME_PREFIX_MAX];
	int r;

	*c = (struct ctl){ .rundir = RUNDIR_DEFAULT };
	*form_r = "short";
	if ((r = take_words(c, commands, form_r, &argc, &argv)) != 0)
		return r;
	if ((r = take_flags(c, form_r, argc, argv, false)) != 0)
		return r;
	c->noperands = argc - optind;
	c->operands = argv + optind;
	if (c->noperands >= c->command->least && c->noperands <= c->command->most)
		return 0;
	ctl_complain("%s%s", name_prefix(c, prefix),
	    c->noperands < c->command->least ? "an operand is missing" : "too many operands");
	return -1;
}
