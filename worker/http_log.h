/* A request's line in the access log: Envoy's default format. */
#pragma once

struct stream;

/* While its connections are still there. */
void http_log(struct stream *);
/* The line of a request that is a tunnel from now on, in two parts, each with its nought: what it has carried and how long it
 * lasted goes between them.  From malloc(3); NULL: there is no log, or no memory. */
char *http_log_save(struct stream *);
