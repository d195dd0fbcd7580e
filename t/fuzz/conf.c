/*
 * A load of any bytes.  They are m.conf up to the first nought, then the files "a", "b", ... for its @include.  What is
 * accepted must verify, and print as what compiles to the same; what is refused must say why, line by line.
 */
#include "common/image.h"
#include "conf/load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 8

struct input {
	struct file {
		const char *bytes;
		size_t size;
		int fd;			/* -1: not opened yet; one path, one inode */
	} files[FILES];
	size_t count;
};

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static int make_file(const char *bytes, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	must(fd != -1 && write(fd, bytes, size) == (ssize_t)size, "memfd");
	return fd;
}

static int open_input(void *arg, const char *path)
{
	struct input *in = arg;
	size_t k = strcmp(path, "/m.conf") == 0 ? 0 : path[0] == '/' && path[1] >= 'a' && path[2] == '\0' ? (size_t)(path[1] - 'a') + 1 : FILES;
	int fd;

	if (k >= in->count) {
		errno = ENOENT;
		return -1;
	}
	if (in->files[k].fd == -1)
		in->files[k].fd = make_file(in->files[k].bytes, in->files[k].size);
	fd = dup(in->files[k].fd);
	must(fd != -1 && lseek(fd, 0, SEEK_SET) == 0, "dup");
	return fd;
}

static char *whole(int fd, size_t *size_r)
{
	struct stat st;
	char *text;

	must(fstat(fd, &st) == 0, "fstat");
	text = malloc((size_t)st.st_size + 1);
	must(text != NULL && pread(fd, text, (size_t)st.st_size, 0) == st.st_size, "pread");
	text[st.st_size] = '\0';
	*size_r = (size_t)st.st_size;
	return text;
}

static void check_report(int fd)
{
	size_t size;
	char *report = whole(fd, &size);

	must(size > 0 && report[size - 1] == '\n' && strlen(report) == size, "a refusal without words");
	for (const char *line = report; *line != '\0'; line = strchr(line, '\n') + 1)
		must(strcspn(line, ":") < strcspn(line, "\n"), "a line without a file");
	free(report);
}

/* Loads; what was accepted is in *digest and printed_r, which is the caller's. */
static int try(struct input *in, uint8_t digest[32], char **printed_r, size_t *size_r)
{
	struct load l = { .file = "m.conf", .folder = "", .open = open_input, .arg = in };
	struct image image;
	struct err e;
	int r;

	l.image_fd = make_file("", 0);
	l.report_fd = make_file("", 0);
	l.print_fd = make_file("", 0);
	r = load(&l);
	if (r == 0) {
		must(image_map(l.image_fd, &image, &e) == 0 && image_verify(&image, &e) == 0, "an image that does not verify");
		memcpy(digest, image.head->digest, 32);
		image_unmap(&image);
		*printed_r = whole(l.print_fd, size_r);
	} else {
		check_report(l.report_fd);
	}
	close(l.image_fd);
	close(l.report_fd);
	close(l.print_fd);
	for (size_t k = 0; k < in->count; k++) {
		if (in->files[k].fd != -1)
			close(in->files[k].fd);
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .count = 0 }, again = { .count = 1 };
	const char *at = (const char *)data, *end = at + size;
	uint8_t first[32], second[32];
	char *printed, *reprinted;
	size_t n, m;

	for (; in.count < FILES && at <= end; in.count++) {
		const char *nought = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

		if (nought == NULL || in.count == FILES - 1)
			nought = end;
		in.files[in.count] = (struct file){ at, (size_t)(nought - at), -1 };
		at = nought + 1;
	}
	if (try(&in, first, &printed, &n) == -1)
		return 0;
	again.files[0] = (struct file){ printed, n, -1 };
	must(try(&again, second, &reprinted, &m) == 0, "what is printed is refused");
	must(memcmp(first, second, 32) == 0, "what is printed means something else");
	must(n == m && memcmp(printed, reprinted, n) == 0, "what is printed prints differently");
	free(printed);
	free(reprinted);
	return 0;
}
