/* The shared memory of the processes: see live.h. */
#include "common/live.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t head_size(void)
{
	return (sizeof(struct live_head) + 4095) & ~(size_t)4095;
}

static size_t live_size(uint32_t workers)
{
	return head_size() + workers * sizeof(struct live_block);
}

uint64_t live_layout(void)
{
	const uint64_t sizes[] = {
		IMAGE_LAYOUT, sizeof(struct live_head), sizeof(struct live_block), sizeof(struct live_row),
		LISTENER_NCOUNTERS, LISTENER_NGAUGES, CHAIN_NCOUNTERS, CHAIN_NGAUGES, HTTP_NCOUNTERS, HTTP_NGAUGES, CLUSTER_NCOUNTERS, CLUSTER_NGAUGES,
		ENDPOINT_NCOUNTERS, ENDPOINT_NGAUGES, WORKER_NCOUNTERS, WORKER_NGAUGES,
	};
	uint64_t mixed = LIVE_MAGIC;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		mixed = (mixed ^ sizes[i]) * 0x100000001b3u;		/* FNV-1a's step, a word at a time */
	return mixed;
}

static int map(int fd, size_t size, uint32_t workers, struct live *l, struct err *e)
{
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return err_set(e, "live: mmap of %zu bytes: %m", size);
	l->head = (struct live_head *)(void *)base;
	l->blocks = (struct live_block *)(void *)(base + head_size());
	l->workers = workers;
	l->size = size;
	return 0;
}

int live_create(uint32_t workers, struct live *l, int *fd_r, struct err *e)
{
	size_t size = live_size(workers);
	int fd;

	if (workers == 0 || workers > LIVE_WORKERS_MAX)
		return err_set(e, "live: %u workers, 1 to %u can be", workers, LIVE_WORKERS_MAX);
	fd = memfd_create("meshd-live", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return err_set(e, "live: memfd_create: %m");
	if (ftruncate(fd, (off_t)size) == -1 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
		err_set(e, "live: %zu bytes: %m", size);
		goto fail;
	}
	if (map(fd, size, workers, l, e) == -1)
		goto fail;
	l->head->magic = LIVE_MAGIC;
	l->head->layout = live_layout();
	l->head->workers = workers;
	*fd_r = fd;
	return 0;
fail:
	close(fd);
	return -1;
}

int live_map(int fd, struct live *l, struct err *e)
{
	struct {			/* how struct live_head begins; the whole of it is 32 MiB */
		uint64_t magic, layout;
		uint32_t workers, zero;
	} head;
	struct stat st;

	_Static_assert(sizeof(head) == offsetof(struct live_head, born_ns), "the beginning of struct live_head");
	if (fstat(fd, &st) == -1 || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head))
		return err_set(e, "live: not readable");
	if (head.magic != LIVE_MAGIC || head.layout != live_layout())
		return err_set(e, "live: made by another build of meshd");
	if (head.workers == 0 || head.workers > LIVE_WORKERS_MAX || (size_t)st.st_size != live_size(head.workers))
		return err_set(e, "live: %lld bytes for %u workers", (long long)st.st_size, head.workers);
	return map(fd, (size_t)st.st_size, head.workers, l, e);
}

void live_unmap(struct live *l)
{
	if (l->head != NULL)
		munmap(l->head, l->size);
	memset(l, 0, sizeof(*l));
}

uint64_t live_sum_gauge(const struct live *l, uint32_t slot, unsigned gauge)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < l->workers; w++)
		sum += live_get(&live_row(l, w, slot)->gauge[gauge]);
	return sum;
}

uint64_t live_sum_counter(const struct live *l, uint32_t slot, unsigned counter)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < l->workers; w++)
		sum += live_get(&live_row(l, w, slot)->counter[counter]);
	return sum;
}

bool live_announce(const struct live *l, uint32_t worker, live_word *own, uint64_t limit)
{
	size_t offset = (size_t)((char *)own - (char *)&l->blocks[worker]);
	uint64_t sum = 0;

	if (limit == 0) {
		live_add(own, 1);
		return true;
	}
	atomic_store_explicit(own, live_get(own) + 1, memory_order_seq_cst);
	for (uint32_t w = 0; w < l->workers; w++) {
		live_word *word = (live_word *)(void *)((char *)&l->blocks[w] + offset);

		sum += atomic_load_explicit(word, memory_order_seq_cst);
	}
	if (sum <= limit)
		return true;
	atomic_store_explicit(own, live_get(own) - 1, memory_order_seq_cst);
	return false;
}

uint32_t live_generation_row(const struct live *l, uint64_t number)
{
	for (uint32_t i = 0; number != 0 && i < LIVE_GENERATIONS; i++) {
		if (live_get(&l->head->generations[i].number) == number)
			return i;
	}
	return IMAGE_NONE;
}

bool live_address_is_ours(const struct live *l, const struct addr *ip)
{
	uint64_t n = atomic_load_explicit(&l->head->address_count, memory_order_acquire);

	if (addr_is_loopback(ip) || addr_is_any(ip))
		return true;
	for (uint64_t i = 0; i < n && i < LIVE_ADDRESSES; i++) {
		if (addr_same_ip(&l->head->addresses[i], ip))
			return true;
	}
	return false;
}
