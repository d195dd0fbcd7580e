/* A request's line in the access log: Envoy's default format. */
#pragma once

struct stream;

/* While its connections are still there. */
void http_log(struct stream *);
