/* The list of connections: see listing.h. */
#include "ctl/listing.h"

#include "ctl/master.h"
#include "ctl/words.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool take_number(const char *text, uint64_t *to)
{
	return ctl_number(text, INT64_MAX, to);		/* what JSON's integers hold */
}

/* The line is cut up.  False: it is not one. */
static bool take_line(char *line, struct connection *c)
{
	char *field[CONTROL_CONNECTION_FIELDS];
	size_t n = 0;

	while (line != NULL && n < CONTROL_CONNECTION_FIELDS)
		field[n++] = strsep(&line, "\t");
	if (line != NULL || n < CONTROL_CONNECTION_FIELDS)
		return false;
	*c = (struct connection){
		.state = field[4], .client = field[5], .destination = field[6], .listener = field[7], .chain = field[8],
		.cluster = field[9], .endpoint = field[10],
	};
	return take_number(field[0], &c->id) && c->id != 0 && take_number(field[1], &c->worker) &&
	    take_number(field[2], &c->age_ms) && take_number(field[3], &c->idle_ms) &&
	    take_number(field[11], &c->received) && take_number(field[12], &c->sent);
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	while ((text = strchr(text, '\n')) != NULL) {
		text++;
		n++;
	}
	return n;
}

static int by_age(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	if (x->age_ms != y->age_ms)
		return x->age_ms > y->age_ms ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* -1: there is no memory for it. */
static int take_lines(struct listing *l)
{
	size_t odd = 0;
	char *rest = l->text, *line;

	if ((l->all = calloc(count_lines(l->text), sizeof(*l->all))) == NULL)
		return -1;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (*line == '\0')
			continue;
		if (take_line(words_harmless(line), &l->all[l->n]))
			l->n++;
		else
			odd++;
	}
	if (odd > 0) {
		ctl_complain("lines of the answer that are not understood: %zu", odd);
		l->partial = true;
	}
	qsort(l->all, l->n, sizeof(*l->all), by_age);
	return 0;
}

void listing_free(struct listing *l)
{
	free(l->text);
	free(l->all);
}

int listing_get(struct ctl *c, struct listing *l)
{
	const struct control_request q = master_request(CONTROL_CONNECTIONS);
	struct control_reply r;
	size_t size;
	int fd;

	*l = (struct listing){ 0 };
	if (master_ask(c, &q, &r, &fd) != 0)
		return -1;
	l->text = fd != -1 ? words_read(fd, &size) : strdup("");
	if (fd != -1)
		close(fd);
	if (l->text == NULL || take_lines(l) == -1) {
		ctl_complain("the list cannot be read: %m");
		listing_free(l);
		return -1;
	}
	if (r.text[0] != '\0') {
		ctl_complain("%s", words_harmless(r.text));
		l->partial = true;
	}
	return 0;
}
