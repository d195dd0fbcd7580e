/* worker/blocks.h, worker/arena.h: blocks do not touch each other, are nought when taken, and all can be given back. */
#include "worker/arena.h"
#include "worker/blocks.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define N 1000

Test(blocks, many_in_any_order)
{
	static unsigned char *taken[N];
	struct blocks b = { 0 };

	blocks_init(&b, 288);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++) {
			taken[i] = block_take(&b);
			cr_assert_eq((uintptr_t)taken[i] % 64, 0);
			for (unsigned k = 0; k < 288; k++)
				cr_assert_eq(taken[i][k], 0);
			memset(taken[i], (int)(i % 255 + 1), 288);
		}
		for (unsigned i = 0; i < N; i++) {
			unsigned at = (i * 7 + round) % N;

			for (unsigned k = 0; k < 288; k++)
				cr_assert_eq(taken[at][k], at % 255 + 1);
			block_give(&b, taken[at]);
		}
		cr_assert_null(b.partial);
	}
}

Test(arena, pieces_grow_in_place_while_they_are_the_last)
{
	_Alignas(8) char first[256];
	struct arena a = { first, first + sizeof(first), NULL };
	char *p = arena_take(&a, 100), *q;

	arena_trim(&a, p + 50);
	cr_assert(arena_extend(&a, p + 50, 20));
	q = arena_take(&a, 8);
	cr_assert(q >= p + 70);
	cr_assert_not(arena_extend(&a, p + 70, 20));
	cr_assert_not(arena_extend(&a, q + 8, 1000));
	cr_assert_not_null(arena_take(&a, 10000));
	cr_assert_not_null(arena_take(&a, 10));
	arena_free(&a);
}
