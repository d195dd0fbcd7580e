/* Files, @include, and what the scanner refuses before libconfig sees it. */
#include "t/unit/conf/try.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE_FILES 4

static const struct {
	struct try_file files[CASE_FILES + 1];
	const char *report;		/* NULL: loads */
} cases[] = {
	{ { { "/m.conf", "@include \"a.conf\"\nuser = 1;", 0, 0 }, { "/a.conf", "workers = 1;\n\nworkers_ = 2;", 0, 0 } },
	  "a.conf:3: workers_: unknown key (did you mean \"workers\"?)\nm.conf:2: user: must be a name in a string\n" },
	{ { { "/m.conf", "clusters = (\n@include \"a.conf\" # those\n);\nuser = 1;", 0, 0 }, { "/a.conf", "{ name = 1; }", 0, 0 } },
	  "a.conf:1: clusters[0].name: must be a string\nm.conf:4: user: must be a name in a string\n" },
	{ { { "/m.conf", "  @include \"d/a.conf\"\n", 0, 0 }, { "/d/a.conf", "@include \"b.conf\"\n", 0, 0 },
	    { "/d/b.conf", "workers = -1;", 0, 0 } }, "d/b.conf:1: workers: -1 is out of range (0 to 64)\n" },
	{ { { "/m.conf", "@include \"/x/a.conf\"", 0, 0 }, { "/x/a.conf", "workers = -1;", 0, 0 } },
	  "/x/a.conf:1: workers: -1 is out of range (0 to 64)\n" },
	/* not an @include */
	{ { { "/m.conf", "# @include \"a\"\n/*\n@include \"b\"\n*/ node = { id = \"@include\"; };", 0, 0 } }, NULL },
	{ { { "/m.conf", "user = \"\n@include \"a\"\n\";", 0, 0 } }, "m.conf:1: syntax: this string does not end on its line\n" },
	{ { { "/m.conf", "workers = 1; @include \"a\"", 0, 0 } }, "m.conf:1: syntax: @include stands alone on its line\n" },
	{ { { "/m.conf", "@include \"a\" workers = 1;", 0, 0 } }, "m.conf:1: syntax: @include stands alone on its line\n" },
	{ { { "/m.conf", "@include a", 0, 0 } }, "m.conf:1: syntax: @include needs a file in quotes: @include \"file\"\n" },
	{ { { "/m.conf", "@include \"\"", 0, 0 } }, "m.conf:1: syntax: @include needs a file in quotes: @include \"file\"\n" },
	{ { { "/m.conf", "\n@import \"a\"", 0, 0 } }, "m.conf:2: syntax: \"@\" is known in @include \"file\" only\n" },
	/* what cannot be read: all of it, and more of the file */
	{ { { "/m.conf", "@include \"a\"\n\n@include \"b\"\n@include \"c\"\n@include \"d\"\n@", 0, 0 }, { "/a", NULL, EISDIR, 0 },
	    { "/b", NULL, EPERM, 0 }, { "/c", NULL, EINVAL, 0 } },
	  "m.conf:1: @include \"a\": is a folder\n"
	  "m.conf:3: @include \"b\": lies outside of the folders that may be read (-I adds one)\n"
	  "m.conf:4: @include \"c\": is not a regular file\n"
	  "m.conf:5: @include \"d\": No such file or directory\n"
	  "m.conf:6: syntax: \"@\" is known in @include \"file\" only\n" },
	{ { { "/m.conf", NULL, EACCES, 0 } }, "m.conf: Permission denied\n" },
	{ { { "/m.conf", NULL, EFBIG, 0 } }, "m.conf: is larger than 16 MiB\n" },
	{ { { "/m.conf", "@include \"a\"", 0, 0 }, { "/a", NULL, EMFILE, 0 } },
	  "m.conf:1: @include \"a\": is one file too many: at most 1024 are read\n" },
	/* circles */
	{ { { "/m.conf", "\n@include \"m.conf\"", 0, 0 } }, "m.conf:2: @include \"m.conf\": m.conf includes m.conf\n" },
	{ { { "/m.conf", "@include \"a\"", 0, 0 }, { "/a", "@include \"b\"", 0, 0 }, { "/b", "\n@include \"a\"", 0, 0 } },
	  "b:2: @include \"a\": a includes b includes a\n" },
	/* twice is not a circle */
	{ { { "/m.conf", "@include \"a\"\n@include \"a\"\n", 0, 0 }, { "/a", "# nothing", 0, 0 } }, NULL },
	/* groups and files close what they open */
	{ { { "/m.conf", "clusters = (\n@include \"a\"\n", 0, 0 }, { "/a", "{ name = \"c\"; } );\n", 0, 0 } },
	  "m.conf:1: syntax: this \"(\" is not closed in this file\na:1: syntax: \")\" closes nothing\n" },
	{ { { "/m.conf", "node = {\nid = \"x\";\n);\n", 0, 0 } }, "m.conf:3: syntax: \")\" does not close the \"{\" of line 1\n" },
	{ { { "/m.conf", "workers = 1;\n/* a\n\n", 0, 0 } }, "m.conf:2: syntax: this comment has no end\n" },
	/* bytes */
	{ { { "/m.conf", "workers = 1;\n\0\n", 0, 15 } }, "m.conf:2: syntax: the byte 0x00 has no meaning here\n" },
	{ { { "/m.conf", "user = \"a\0b\";", 0, 13 } }, "m.conf:1: syntax: a string must not have the byte 0x00\n" },
	{ { { "/m.conf", "user = \"a\\x00b\";", 0, 0 } }, "m.conf:1: syntax: a string must not have the byte 0x00\n" },
	{ { { "/m.conf", "\x7f" "ELF\2\1", 0, 0 } }, "m.conf:1: syntax: the byte 0x7f has no meaning here\n" },
	{ { { "/m.conf", "\xef\xbb\xbfworkers = 1;\r\nuser = \"x\";\r\n", 0, 0 } }, NULL },
	{ { { "/m.conf", "node = { id = \"gr\xc3\xbc\xc3\x9f\"; };", 0, 0 } }, NULL },
	/* what libconfig says, in its own line */
	{ { { "/m.conf", "workers = 1;\nworkers = 2;", 0, 0 } }, "m.conf:2: syntax: \"workers\" is already in this group\n" },
	{ { { "/m.conf", "@include \"a\"\nnode = { id = \"x\"; };\nid = 1; node = { };", 0, 0 }, { "/a", "id = 1;", 0, 0 } },
	  "m.conf:3: syntax: \"id\" is already in this group\n" },
	{ { { "/m.conf", "workers = 1;\n= 2;", 0, 0 } }, "m.conf:2: syntax: there is no name before this \"=\"\n" },
	{ { { "/m.conf", "@include \"a\"\nx = 1;", 0, 0 }, { "/a", "\nworkers = ;\n", 0, 0 } },
	  "a:2: syntax: there is no value after \"=\"\n" },
	{ { { "/m.conf", "workers = +;", 0, 0 } },
	  "m.conf:1: syntax: this line, or the end of the one before, is not of the form name = value;\n" },
	{ { { "/m.conf", "node = { address = [ 1,\n\"a\" ]; };", 0, 0 } }, "m.conf:2: syntax: an array [ ] has values of one type; ( ) takes any\n" },
};

/* One mistake in the order of tokens each; a file of one line. */
static const struct {
	const char *text, *words;		/* NULL: is right */
} orders[] = {
	{ "x = [ 1, ];", "there is no value after the last \",\"" },
	{ "x = ( { }, );", "there is no value after the last \",\"" },
	{ "x = ( , 1 );", "there is no value before this \",\"" },
	{ "x = ( 1, , 2 );", "there is no value before this \",\"" },
	{ "x = ( { } { } );", "there is a \",\" missing before this" },
	{ "x = ( 1; 2 );", "members of a list are separated by \",\"" },
	{ "x = ( 1 = 2 );", "name = value stands in { }" },
	{ "x = ( name = 2 );", "this is no value: text stands in quotes, and name = value in { }" },
	{ "x = [ { } ];", "[ ] takes no groups or lists; ( ) does" },
	{ "x = 1;;", "there is no setting before this" },
	{ "x = { };;", "there is no setting before this" },
	{ ", x = 1;", "there is no setting before this" },
	{ "x = tcp;", "this is no value: text stands in quotes" },
	{ "x = ;", "there is no value after \"=\"" },
	{ "x = { y = };", "there is no value after \"=\"" },
	{ "x = = 1;", "there is no value after \"=\"" },
	{ "x 1;", "a name is followed by \"=\": name = value;" },
	{ "x { };", "a name is followed by \"=\": name = value;" },
	{ "x y = 1;", "a name is followed by \"=\": name = value;" },
	{ "x = 1 2;", "there is a \";\" missing before this" },
	{ "x = 1 = 2;", "there is no name before this \"=\"" },
	{ "\"x\" = 1;", "a setting begins with its name: name = value;" },
	{ "true = 1;", "a setting begins with its name: name = value;" },
	{ "{ x = 1; }", "a setting begins with its name: name = value;" },
	{ "x = 1 y: TRUE z = \"a\" \"b\", u = { a = 1, } v = ( ) w = [ ] t = ( { }, [ 1 ], ( ( ) ), \"a\" \"b\" )", NULL },
};

Test(source, the_order_of_tokens)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		char want[256], *report = try_wrong(orders[i].text);

		snprintf(want, sizeof(want), "m.conf:1: syntax: %s\n", orders[i].words != NULL ? orders[i].words : "");
		if (orders[i].words != NULL)
			cr_expect_str_eq(report, want, "%s: %s", orders[i].text, report);
		else
			cr_expect_null(strstr(report, "syntax"), "%s", report);		/* its names are unknown */
		free(report);
	}
}

/* The first of each file; and one that cannot be read hides nothing of the file around it. */
Test(source, the_first_mistake_of_each_file)
{
	static const struct try_file files[] = {
		{ "/m.conf", "@include \"a\"\nclusters = (\n@include \"b\"\n,\n@include \"c\"\n,\n@include \"none\"\n, { name = \"x\" } );\n"
		  "workers = ;\nuser = ;\n", 0, 0 },
		{ "/a", "user = \"u\";\nworkers 1;\nx = ;\n", 0, 0 },
		{ "/b", "{ name = \"c\"; },\n{ name = \"d\"; }\n", 0, 0 },
		{ "/c", "{ name = \"c\"; endpoints = [ \"192.0.2.1:1\", ]; }\n", 0, 0 }, { 0 },
	};
	struct tried t = try_files(files);

	cr_assert_str_eq(t.report,
	    "a:2: syntax: a name is followed by \"=\": name = value;\n"
	    "c:1: syntax: there is no value after the last \",\"\n"
	    "m.conf:7: @include \"none\": No such file or directory\n"
	    "m.conf:9: syntax: there is no value after \"=\"\n");
	tried_free(&t);
}

Test(source, files_and_their_lines)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tried t = try_files(cases[i].files);
		const char *want = cases[i].report != NULL ? cases[i].report : "";

		cr_expect_str_eq(t.report, want, "case %zu: %s\n got: %s want: %s", i, cases[i].files[0].text, t.report, want);
		cr_expect_eq(t.result, cases[i].report != NULL ? -1 : 0);
		tried_free(&t);
	}
}

Test(source, sixteen_deep_and_no_deeper)
{
	static char names[32][16], texts[32][32];
	struct try_file files[32] = { { "/m.conf", "@include \"1\"", 0, 0 } };
	struct tried t;

	for (int i = 1; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "/%d", i);
		snprintf(texts[i], sizeof(texts[i]), "@include \"%d\"", i + 1);
		files[i] = (struct try_file){ names[i], texts[i], 0, 0 };
	}
	t = try_files(files);
	cr_assert_str_eq(t.report, "16:1: @include \"17\": more than 16 files in each other\n");
	tried_free(&t);
	files[16].text = "# the last";
	t = try_files(files);
	cr_assert_eq(t.result, 0, "%s", t.report);
	tried_free(&t);
}

/* A text that repeats one piece, as long as is wanted. */
static char *repeat(const char *before, const char *piece, size_t times, const char *after)
{
	size_t n = strlen(piece);
	char *text = malloc(strlen(before) + n * times + strlen(after) + 1), *end = stpcpy(text, before);

	for (size_t i = 0; i < times; i++, end += n)
		memcpy(end, piece, n);
	strcpy(end, after);
	return text;
}

static char *many_names(void)
{
	char *text = malloc(300 * 16), *end = text;

	for (int i = 0; i < 300; i++)
		end += sprintf(end, "a%d = 1;\n", i);
	return text;
}

static void refuse(char *text, const char *want)
{
	char *report = try_wrong(text);

	cr_assert_str_eq(report, want);
	free(report);
	free(text);
}

Test(source, hostile_texts_are_refused_in_words)
{
	refuse(repeat("a = ", "{ a = ", 10000, ""), "m.conf:1: syntax: more than 32 groups and lists in each other\n");
	refuse(repeat("a = ", "(", 10000, ""), "m.conf:1: syntax: more than 32 groups and lists in each other\n");
	refuse(many_names(), "m.conf:257: syntax: more than 256 settings in one group\n");
	refuse(repeat("workers = ", "9", 20, ";"), "m.conf:1: syntax: 99999999999999999999 is too large a number\n");
	refuse(repeat("workers = ", "9", 10000, ";"), "m.conf:1: syntax: this number is too long\n");
	refuse(repeat("user = \"", "x", 10 << 20, "\";"), "m.conf:1: user: 10485760 bytes long, at most 32 can be\n");
	refuse(repeat("x = [", "1,", 5000000, "1];"), "m.conf:1: syntax: more than 5000000 names, values and brackets\n");
	refuse(repeat("", " ", 17 << 20, ""), "m.conf: is larger than 16 MiB\n");
}

/* Cut anywhere, a good file is refused in words or is a smaller good one; it never crashes or hangs. */
Test(source, a_file_cut_at_every_byte)
{
	char *text = try_read("conf/samples/sidecar.conf");
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		struct try_file files[] = { { "/m.conf", text, 0, i }, { 0 } };
		struct tried t;

		if (i == 0)
			continue;
		t = try_files(files);
		cr_assert((t.result == 0) == (*t.report == '\0'), "%zu: %s", i, t.report);
		tried_free(&t);
	}
	free(text);
}

/* One byte changed, everywhere, to what means most to the syntax. */
Test(source, a_file_with_each_byte_changed)
{
	static const char bytes[] = "{}()[]\"=;,@#/*\\\n-9x\x80";
	char *text = try_read("conf/samples/registry-only.conf");
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i += 3) {
		char was = text[i];

		for (const char *b = bytes; *b != '\0'; b++) {
			struct tried t;

			text[i] = *b;
			t = try_text(text);
			cr_assert((t.result == 0) == (*t.report == '\0'), "%zu: %s", i, t.report);
			tried_free(&t);
		}
		text[i] = was;
	}
	free(text);
}
