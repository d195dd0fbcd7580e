/*
 * Documents for iptables-restore --noflush, from what is wanted and what iptables-save says is there.  What is not ours is
 * in none of them: ours are chains MESHD_*, and rules of other chains that jump to one.  Texts are malloc'ed.
 */
#pragma once

#include "master/ruleset.h"

/* A jump that is there stays where it is: applying twice is applying once.  What is ours and not wanted goes.
 * NULL: no memory. */
char *restore_apply(const struct ruleset *, const char *saved);

/*
 * Nothing new is caught: out go the jumps of table nat, and TPROXY's target.  All else stays for the connections that are
 * open: with the last rule that uses connection tracking their translation would end, and TPROXY's need their mark.
 * *text_r is NULL when there is nothing to do.  -1: no memory.
 */
int restore_release(const char *saved, char **text_r);

/* Takes all of it out.  *text_r is NULL when there is nothing of ours.  -1: no memory. */
int restore_clear(const char *saved, char **text_r);
