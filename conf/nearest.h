/* How far two words are from each other, for "did you mean". */
#pragma once

/* Insertions, deletions, replacements and swaps of neighbours that make one of the other; UINT_MAX: too long to say. */
unsigned nearest_distance(const char *a, const char *b);

/* Whether a distance is small enough for a suggestion. */
int nearest_is_close(const char *word, unsigned distance);
