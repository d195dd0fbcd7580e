/*
 * meshd --post-stop: what becomes of the rules when the master has ended without taking them out.  With on_exit =
 * "bypass" they go when no worker lives: at once, or, while workers without a master still serve, when the last has
 * ended, by a process of its own that is waited for by nobody; unless another master is ready by then.  With "block"
 * they stay, and what they would catch fails.
 */
#pragma once

struct options;

/* The exit status. */
int post_stop(const struct options *);
