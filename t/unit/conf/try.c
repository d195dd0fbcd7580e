/* One load of texts in memory: see try.h. */
#include "t/unit/conf/try.h"

#include "conf/load.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_memory(void *arg, const char *path)
{
	for (struct try_file *f = arg; f->path != NULL; f++) {
		int fd;

		if (strcmp(f->path, path) != 0)
			continue;
		if (f->text == NULL) {
			errno = f->error;
			return -1;
		}
		/* one path, one inode: what tells a file that includes itself */
		if ((fd = f->error) == 0) {
			size_t size = f->size != 0 ? f->size : strlen(f->text);

			fd = f->error = memfd_create("file", MFD_CLOEXEC);
			cr_assert_eq(write(fd, f->text, size), (ssize_t)size);
		}
		fd = dup(fd);
		lseek(fd, 0, SEEK_SET);
		return fd;
	}
	errno = ENOENT;
	return -1;
}

static char *whole(int fd)
{
	struct stat st;
	char *text;

	cr_assert_eq(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	cr_assert_eq(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
	return text;
}

struct tried try_files(const struct try_file *files)
{
	struct try_file mine[64];
	struct load l = { .file = "m.conf", .folder = "", .open = open_memory, .arg = mine };
	struct tried t = { 0 };
	struct err e;
	size_t n = 0;

	while (files[n].path != NULL)
		n++;
	cr_assert_lt(n, 64);
	memcpy(mine, files, (n + 1) * sizeof(*files));
	l.image_fd = memfd_create("image", MFD_CLOEXEC);
	l.report_fd = memfd_create("report", MFD_CLOEXEC);
	l.print_fd = memfd_create("print", MFD_CLOEXEC);
	t.result = load(&l);
	t.report = whole(l.report_fd);
	t.printed = whole(l.print_fd);
	if (t.result == 0) {
		cr_assert_eq(image_map(l.image_fd, &t.image, &e), 0, "%s", e.text);
		cr_assert_eq(image_verify(&t.image, &e), 0, "%s", e.text);
	}
	close(l.image_fd);
	close(l.report_fd);
	close(l.print_fd);
	for (size_t i = 0; i < n; i++) {
		if (mine[i].text != NULL && mine[i].error != 0)
			close(mine[i].error);
	}
	return t;
}

struct tried try_text(const char *text)
{
	struct try_file files[] = { { "/m.conf", text, 0, 0 }, { 0 } };

	return try_files(files);
}

void tried_free(struct tried *t)
{
	free(t->report);
	free(t->printed);
	image_unmap(&t->image);
}

char *try_wrong(const char *text)
{
	struct tried t = try_text(text);
	char *report = strdup(t.report);

	cr_assert_eq(t.result, -1, "accepted: %s", text);
	cr_assert_neq(*report, '\0');
	tried_free(&t);
	return report;
}

struct tried try_good(const char *text)
{
	struct tried t = try_text(text), again;

	cr_assert_eq(t.result, 0, "%s", t.report);
	again = try_text(t.printed);
	cr_assert_eq(again.result, 0, "%s\n%s", again.report, t.printed);
	cr_assert_arr_eq(again.image.head->digest, t.image.head->digest, sizeof(t.image.head->digest), "%s", t.printed);
	cr_assert_str_eq(again.printed, t.printed);
	tried_free(&again);
	return t;
}

char *try_read(const char *path)
{
	char full[4096], *text;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", TEST_SRCDIR, path);
	fd = open(full, O_RDONLY | O_CLOEXEC);
	cr_assert_neq(fd, -1, "%s", full);
	text = whole(fd);
	close(fd);
	return text;
}
