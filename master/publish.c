/* Slots, sealing, the generation table: see publish.h. */
#include "master/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 16384u

/* Slot 0 is never given: an image whose slots were not filled is then seen at once. */
struct entry {
	char *name;		/* NULL: free */
	uint32_t kind;
	uint32_t refs;		/* by generations and drafts */
	uint32_t next;		/* in its bucket, or in the list of free slots; 0: the end */
	bool listed;		/* stands in live's directory */
};

struct row {
	uint64_t number;	/* 0: free */
	uint32_t *slots;
	uint32_t nslots;
};

struct generations {
	struct live live;
	struct entry *entries;		/* LIVE_SLOTS */
	uint32_t buckets[BUCKETS];
	uint32_t next_fresh;		/* slots from here on were never given: their rows are nought and not yet memory */
	uint32_t first_free;
	uint32_t idle;			/* entries without a reference */
	struct row rows[LIVE_GENERATIONS];
	uint64_t newest;
	int newest_fd;
	uint64_t previous;
	int previous_fd;		/* -1: none */
	struct image newest_image;
};

struct generations *generations_open(const struct live *live, struct err *e)
{
	struct generations *g = calloc(1, sizeof(*g));

	if (g == NULL || (g->entries = calloc(LIVE_SLOTS, sizeof(*g->entries))) == NULL) {
		free(g);
		err_set(e, "directory: out of memory");
		return NULL;
	}
	g->live = *live;
	g->next_fresh = 1;
	g->newest_fd = g->previous_fd = -1;
	return g;
}

/* ---- slots ---- */

static uint32_t bucket_of(uint32_t kind, const char *name)
{
	uint32_t h = 2166136261u ^ kind;		/* FNV-1a */

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ h >> 15) % BUCKETS;
}

static uint32_t find_slot(const struct generations *g, uint32_t kind, const char *name)
{
	uint32_t slot = g->buckets[bucket_of(kind, name)];

	while (slot != 0 && (g->entries[slot].kind != kind || strcmp(g->entries[slot].name, name) != 0))
		slot = g->entries[slot].next;
	return slot;
}

static uint32_t new_slot(struct generations *g, uint32_t kind, const char *name)
{
	uint32_t slot = g->first_free, *bucket = &g->buckets[bucket_of(kind, name)];
	char *copy = strdup(name);

	if (copy == NULL || (slot == 0 && g->next_fresh == LIVE_SLOTS)) {
		free(copy);
		return 0;
	}
	if (slot != 0) {
		g->first_free = g->entries[slot].next;
		for (uint32_t w = 0; w < g->live.workers; w++)
			memset(live_row(&g->live, w, slot), 0, sizeof(struct live_row));
	} else {
		slot = g->next_fresh++;
	}
	g->entries[slot] = (struct entry){ .name = copy, .kind = kind, .next = *bucket };
	*bucket = slot;
	g->idle++;
	return slot;
}

static void free_slot(struct generations *g, uint32_t slot)
{
	struct entry *n = &g->entries[slot];
	uint32_t *p = &g->buckets[bucket_of(n->kind, n->name)];

	while (*p != slot)
		p = &g->entries[*p].next;
	*p = n->next;
	if (n->listed)
		atomic_store_explicit(&g->live.head->directory[slot].kind, NAME_NONE, memory_order_release);
	free(n->name);
	*n = (struct entry){ .next = g->first_free };
	g->first_free = slot;
	g->idle--;
}

static void hold_slot(struct generations *g, uint32_t slot)
{
	if (g->entries[slot].refs++ == 0)
		g->idle--;
}

static void release_slots(struct generations *g, const uint32_t *slots, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (--g->entries[slots[i]].refs == 0)
			g->idle++;
	}
}

static void sweep_slots(struct generations *g)
{
	for (uint32_t slot = 1; g->idle > 0 && slot < g->next_fresh; slot++) {
		struct entry *n = &g->entries[slot];

		if (n->name != NULL && n->refs == 0 && live_sum_gauge(&g->live, slot, LIVE_USERS) == 0)
			free_slot(g, slot);
	}
}

static void list_slot(struct generations *g, uint32_t slot, uint64_t number)
{
	struct live_entry *l = &g->live.head->directory[slot];
	struct entry *n = &g->entries[slot];

	if (n->listed)
		return;
	snprintf(l->name, sizeof(l->name), "%s", n->name);
	live_set(&l->birth, number);
	atomic_store_explicit(&l->kind, n->kind, memory_order_release);
	n->listed = true;
}

/* ---- filling ---- */

/* The few spans that are used before the image is verified. */
static bool lies_within(const struct image_head *h, enum image_section s, uint64_t size)
{
	return (uint64_t)h->sections[s].at * 8 + (uint64_t)h->sections[s].count * image_record_size(s) <= size;
}

/* The name's text, copied: nothing keeps a writer from changing it yet.  -1: not within the image. */
static int copy_name(const char *base, const struct image_head *h, uint32_t index, uint32_t *kind_r,
    char name_r[IMAGE_NAME_MAX])
{
	uint32_t left;
	struct image_name n;

	memcpy(&n, base + (size_t)h->sections[SECTION_NAMES].at * 8 + index * sizeof(n), sizeof(n));
	if (n.kind == NAME_NONE || n.kind >= NAME_KINDS || n.name >= h->sections[SECTION_TEXT].count)
		return -1;
	left = h->sections[SECTION_TEXT].count - n.name;
	if (left > IMAGE_NAME_MAX)
		left = IMAGE_NAME_MAX;
	memcpy(name_r, base + (size_t)h->sections[SECTION_TEXT].at * 8 + n.name, left);
	if (memchr(name_r, '\0', left) == NULL)
		return -1;
	*kind_r = n.kind;
	return 0;
}

static int choose_slots(struct generations *g, const char *base, const struct image_head *h, struct draft *d, struct err *e)
{
	uint32_t n = h->sections[SECTION_NAMES].count, kind, slot;
	char name[IMAGE_NAME_MAX];

	if (n >= LIVE_SLOTS || (d->slots = calloc(n + 1, sizeof(*d->slots))) == NULL) {
		errno = ENOSPC;
		return err_set(e, "%u listeners, chains, clusters and endpoints, at most %u can be", n, LIVE_SLOTS - 1);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (copy_name(base, h, i, &kind, name) == -1) {
			errno = EINVAL;
			return err_set(e, "image: names[%u]: lies outside", i);
		}
		slot = find_slot(g, kind, name);
		if (slot == 0 && (slot = new_slot(g, kind, name)) == 0) {
			errno = ENOSPC;
			return err_set(e, "no slots left: the %u listeners, chains, clusters and endpoints of this configuration "
			    "and those that are still in use are more than %u together", n, LIVE_SLOTS - 1);
		}
		hold_slot(g, slot);
		d->slots[d->nslots++] = slot;
	}
	return 0;
}

static int write_all(int fd, const void *bytes, size_t n, off_t at)
{
	for (ssize_t done; n > 0; n -= (size_t)done, at += done, bytes = (const char *)bytes + done) {
		done = pwrite(fd, bytes, n, at);
		if (done <= 0)
			return -1;
	}
	return 0;
}

static int fill(struct generations *g, int fd, struct draft *d, struct err *e)
{
	struct image_head head;
	struct stat st;
	char *base;
	int r;

	/* No longer or shorter from here on, so that reading it cannot fault. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == -1 || fstat(fd, &st) == -1)
		return err_set(e, "image: %m");
	errno = EINVAL;
	if (st.st_size < (off_t)sizeof(head) || st.st_size > (off_t)IMAGE_SIZE_MAX)
		return err_set(e, "image: %lld bytes, at most %u can be", (long long)st.st_size, IMAGE_SIZE_MAX);
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return err_set(e, "image: mmap: %m");
	memcpy(&head, base, sizeof(head));
	errno = EINVAL;
	if (head.magic != IMAGE_MAGIC || head.layout != IMAGE_LAYOUT)
		r = err_set(e, "image: meshd-conf is of another build than meshd");
	else if (!lies_within(&head, SECTION_NAMES, (uint64_t)st.st_size) ||
	    !lies_within(&head, SECTION_TEXT, (uint64_t)st.st_size) ||
	    !lies_within(&head, SECTION_SLOTS, (uint64_t)st.st_size) ||
	    head.sections[SECTION_SLOTS].count != head.sections[SECTION_NAMES].count)
		r = err_set(e, "image: names or slots lie outside");
	else
		r = choose_slots(g, base, &head, d, e);
	munmap(base, (size_t)st.st_size);
	if (r == 0 && write_all(fd, d->slots, d->nslots * sizeof(uint32_t), (off_t)head.sections[SECTION_SLOTS].at * 8) == -1)
		return err_set(e, "image: writing the slots: %m");
	return r;
}

/* Nobody can change it any more: is what we read what everybody will read? */
static int check_slots(const struct generations *g, const struct draft *d, struct err *e)
{
	errno = EINVAL;
	if (image_count(&d->image, SECTION_NAMES) != d->nslots)
		return err_set(e, "image: changed while its slots were filled");
	for (uint32_t i = 0; i < d->nslots; i++) {
		const struct image_name *n = image_name(&d->image, i);
		const struct entry *own = &g->entries[d->slots[i]];

		if (image_slot(&d->image, i) != d->slots[i] || n->kind != own->kind ||
		    strcmp(image_text(&d->image, n->name), own->name) != 0)
			return err_set(e, "image: changed while its slots were filled");
	}
	return 0;
}

static int seal(int fd, struct err *e)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return 0;
	return errno == EBUSY ? err_set(e, "image: another process can still write to it") : err_set(e, "image: sealing: %m");
}

int generation_fill(struct generations *g, int image_fd, struct draft *d, struct err *e)
{
	int saved;

	*d = (struct draft){ .fd = image_fd };
	if (fill(g, image_fd, d, e) == 0 && seal(image_fd, e) == 0 && image_map(image_fd, &d->image, e) == 0 &&
	    image_verify(&d->image, e) == 0 && check_slots(g, d, e) == 0)
		return 0;
	saved = errno;
	generation_drop(g, d);
	errno = saved;
	return -1;
}

void generation_drop(struct generations *g, struct draft *d)
{
	if (d->slots != NULL)
		release_slots(g, d->slots, d->nslots);
	free(d->slots);
	image_unmap(&d->image);
	if (d->fd != -1)
		close(d->fd);
	*d = (struct draft){ .fd = -1 };
	sweep_slots(g);
}

/* ---- the generation table ---- */

/* Has this worker got it in use, or is it perhaps on its way to it?  Older ones than what it uses it never takes up. */
static bool worker_holds(const struct generations *g, uint32_t w, const struct sent *sent, uint32_t row)
{
	const struct live_block *b = &g->live.blocks[w];
	uint64_t number = g->rows[row].number;
	uint64_t adopted = atomic_load_explicit(&b->adopted, memory_order_acquire);

	if (sent->number[w] == 0)
		return false;
	return (adopted < number && number <= sent->number[w]) || (live_get(&b->held) >> row & 1);
}

static bool is_held(const struct generations *g, const struct sent *sent, uint32_t row)
{
	for (uint32_t w = 0; w < g->live.workers; w++) {
		if (worker_holds(g, w, sent, row))
			return true;
	}
	return false;
}

static void free_row(struct generations *g, uint32_t i)
{
	struct row *r = &g->rows[i];

	live_set(&g->live.head->generations[i].number, 0);
	release_slots(g, r->slots, r->nslots);
	free(r->slots);
	*r = (struct row){ 0 };
}

bool generations_sweep(struct generations *g, const struct sent *sent)
{
	bool left = false;

	for (uint32_t i = 0; i < LIVE_GENERATIONS; i++) {
		if (g->rows[i].number == 0 || g->rows[i].number == g->newest)
			continue;
		if (is_held(g, sent, i))
			left = true;
		else
			free_row(g, i);
	}
	sweep_slots(g);
	return left || g->idle > 0;
}

static int refuse_full(const struct generations *g, const struct sent *sent, struct err *e)
{
	char who[512] = "";
	size_t used = 0;

	for (uint32_t w = 0; w < g->live.workers && used < sizeof(who); w++) {
		unsigned n = 0;

		for (uint32_t i = 0; i < LIVE_GENERATIONS; i++)
			n += g->rows[i].number != 0 && worker_holds(g, w, sent, i);
		if (n > 1)
			used += (size_t)snprintf(who + used, sizeof(who) - used, "%sworker %u (pid %llu) holds %u",
			    used > 0 ? ", " : "", w, (unsigned long long)live_get(&g->live.blocks[w].pid), n);
	}
	errno = EBUSY;
	return err_set(e, "%u generations are held already: %s", LIVE_GENERATIONS, who);
}

static void write_row(struct generations *g, uint32_t i, const struct draft *d, const char *source)
{
	struct live_generation *l = &g->live.head->generations[i];
	uint64_t digest[4];
	struct timespec ts;

	memcpy(digest, d->image.head->digest, sizeof(digest));
	for (int k = 0; k < 4; k++)
		live_set(&l->digest[k], digest[k]);
	clock_gettime(CLOCK_REALTIME, &ts);
	live_set(&l->born_ns, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	live_set(&l->size_bytes, d->image.size);
	snprintf(l->source, sizeof(l->source), "%s", source);
	atomic_store_explicit(&l->number, g->newest, memory_order_release);
}

int generation_publish(struct generations *g, struct draft *d, const char *source, const struct sent *sent,
    uint64_t *number_r, struct err *e)
{
	uint32_t i = 0;

	while (i < LIVE_GENERATIONS && g->rows[i].number != 0)
		i++;
	if (i == LIVE_GENERATIONS)
		return refuse_full(g, sent, e);
	generation_forget_previous(g);
	g->previous = g->newest;
	g->previous_fd = g->newest_fd;
	g->newest++;
	for (uint32_t k = 0; k < d->nslots; k++)
		list_slot(g, d->slots[k], g->newest);
	g->rows[i] = (struct row){ .number = g->newest, .slots = d->slots, .nslots = d->nslots };
	write_row(g, i, d, source);
	atomic_store_explicit(&g->live.head->newest, g->newest, memory_order_release);
	image_unmap(&g->newest_image);
	g->newest_image = d->image;
	g->newest_fd = d->fd;
	*d = (struct draft){ .fd = -1 };
	*number_r = g->newest;
	return 0;
}

const struct image *generation_image(const struct generations *g)
{
	return g->newest != 0 ? &g->newest_image : NULL;
}

int generation_fd(const struct generations *g)
{
	return g->newest_fd;
}

uint64_t generation_number(const struct generations *g)
{
	return g->newest;
}

int generation_previous(const struct generations *g, uint64_t *number_r)
{
	*number_r = g->previous;
	return g->previous_fd;
}

void generation_forget_previous(struct generations *g)
{
	if (g->previous_fd != -1)
		close(g->previous_fd);
	g->previous_fd = -1;
}

bool generation_is(const struct generations *g, const struct image *i)
{
	return g->newest != 0 && memcmp(g->newest_image.head->digest, i->head->digest, sizeof(i->head->digest)) == 0;
}

bool generations_know(const struct generations *g, enum image_name_kind kind, const char *name)
{
	return find_slot(g, kind, name) != 0;
}

/* Only the rows of slots in use: walking the whole sparse table would make it memory. */
void generations_forget_worker(struct generations *g, uint32_t worker)
{
	struct live_block *b = &g->live.blocks[worker];

	live_set(&b->pid, 0);
	live_set(&b->held, 0);
	live_set(&b->adopted, 0);
	live_set(&b->want, 0);
	for (unsigned k = 0; k < sizeof(b->gauge) / sizeof(b->gauge[0]); k++)
		live_set(&b->gauge[k], 0);
	for (uint32_t slot = 1; slot < g->next_fresh; slot++) {
		struct live_row *r = live_row(&g->live, worker, slot);

		for (unsigned k = 0; g->entries[slot].name != NULL && k < LIVE_GAUGES; k++) {
			if (live_get(&r->gauge[k]) != 0)
				live_set(&r->gauge[k], 0);
		}
	}
}
