/* Reading the image and `live` together: see agent.h. */
#include "agent/agent.h"

/* A gauge may be seen in the middle of a respawn: less than none is none. */
static uint64_t not_negative(uint64_t sum)
{
	return (int64_t)sum < 0 ? 0 : sum;
}

static bool has_row(const struct agent *a, uint32_t name_index, uint32_t *slot_r)
{
	if (name_index >= image_count(&a->image, SECTION_SLOTS))
		return false;
	*slot_r = image_slot(&a->image, name_index);
	return *slot_r < LIVE_SLOTS;
}

uint64_t agent_gauge(const struct agent *a, uint32_t name_index, unsigned gauge)
{
	uint32_t slot;

	return has_row(a, name_index, &slot) ? not_negative(live_sum_gauge(&a->live, slot, gauge)) : 0;
}

uint64_t agent_counter(const struct agent *a, uint32_t name_index, unsigned counter)
{
	uint32_t slot;

	return has_row(a, name_index, &slot) ? live_sum_counter(&a->live, slot, counter) : 0;
}

uint64_t agent_workers_gauge(const struct agent *a, unsigned gauge)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < a->live.workers; w++)
		sum += live_get(&a->live.blocks[w].gauge[gauge]);
	return not_negative(sum);
}

uint64_t agent_workers_greatest(const struct agent *a, unsigned gauge)
{
	uint64_t greatest = 0;

	for (uint32_t w = 0; w < a->live.workers; w++) {
		uint64_t n = not_negative(live_get(&a->live.blocks[w].gauge[gauge]));

		greatest = n > greatest ? n : greatest;
	}
	return greatest;
}

uint64_t agent_workers_counter(const struct agent *a, unsigned counter)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < a->live.workers; w++)
		sum += live_get(&a->live.blocks[w].counter[counter]);
	return sum;
}

uint64_t agent_listeners_counter(const struct agent *a, unsigned counter)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < image_count(&a->image, SECTION_LISTENERS); i++)
		sum += agent_counter(a, image_listener(&a->image, i)->name_index, counter);
	return sum;
}

uint64_t agent_clusters_counter(const struct agent *a, unsigned counter)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < image_count(&a->image, SECTION_CLUSTERS); i++)
		sum += agent_counter(a, image_cluster(&a->image, i)->name_index, counter);
	return sum;
}

uint64_t agent_orphan_end_ns(const struct agent *a)
{
	return a->orphan_ns + (uint64_t)image_settings(&a->image)->orphan_timeout_ms * 1000000u;
}

int agent_adopt(struct agent *a, int image_fd, uint64_t number, struct err *e)
{
	struct image image;

	if (image_map(image_fd, &image, e) == -1)
		return -1;
	/* The master has verified it; the agent, which walks all of it for others, does not take that on trust. */
	if (image_verify(&image, e) == -1) {
		image_unmap(&image);
		return -1;
	}
	image_unmap(&a->image);
	a->image = image;
	a->generation = number;
	return 0;
}
