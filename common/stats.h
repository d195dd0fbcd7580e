/*
 * Every counter, once: the field in shared memory, the name that meshctl prints (Envoy's), the words of the manual.
 * A gauge is what a worker holds now: the master gives it back when the worker dies.  A counter only grows.
 *
 * X(field, name, words).  The first gauge of every row is `users` (live.h), which is not printed.
 */
#pragma once

/* listener.<address>_<port>.<name> */
#define LISTENER_GAUGES(X)									\
	X(cx_active, "downstream_cx_active", "connections open now")
#define LISTENER_COUNTERS(X)									\
	X(cx_total, "downstream_cx_total", "connections accepted, or handed over by a virtual listener")	\
	X(cx_destroy, "downstream_cx_destroy", "connections ended")				\
	X(cx_overflow, "downstream_cx_overflow", "connections refused over max_connections of the listener")	\
	X(cx_global_overflow, "downstream_global_cx_overflow", "connections refused over max_connections of the whole")	\
	X(pre_cx_timeout, "downstream_pre_cx_timeout", "connections without their first bytes within listener_filters_timeout")	\
	X(cx_overload_reject, "downstream_cx_overload_reject", "connections shed: no descriptors or memory left")	\
	X(cx_loop_refused, "downstream_cx_loop_refused", "connections of this proxy's own that were led back to it, refused")	\
	X(no_chain, "no_filter_chain_match", "connections that no filter chain matches")

/* tcp.<stat_prefix>.<name>; a row for each chain, summed over those with one stat_prefix */
#define CHAIN_GAUGES(X)										\
	X(cx_active, "downstream_cx_active", "connections open now")
#define CHAIN_COUNTERS(X)									\
	X(cx_total, "downstream_cx_total", "connections handled")				\
	X(cx_rx_bytes, "downstream_cx_rx_bytes_total", "bytes received from clients")		\
	X(cx_tx_bytes, "downstream_cx_tx_bytes_total", "bytes sent to clients")			\
	X(idle_timeout, "idle_timeout", "connections closed by the idle time-out")		\
	X(max_duration, "max_downstream_connection_duration", "connections closed at their greatest age")

/* http.<stat_prefix>.<name>; the row of a chain whose filter is http.  What it begins with is as of any chain: live.h */
#define HTTP_GAUGES(X)										\
	X(cx_active, "downstream_cx_active", "connections open now")				\
	X(rq_active, "downstream_rq_active", "requests under way now")				\
	X(upgrades_active, "downstream_cx_upgrades_active", "connections that are tunnels now: Upgrade, CONNECT")
#define HTTP_COUNTERS(X)									\
	X(cx_total, "downstream_cx_total", "connections handled")				\
	X(cx_rx_bytes, "downstream_cx_rx_bytes_total", "bytes received from clients")		\
	X(cx_tx_bytes, "downstream_cx_tx_bytes_total", "bytes sent to clients")			\
	X(idle_timeout, "downstream_cx_idle_timeout", "connections closed by the idle time-out")	\
	X(max_duration, "downstream_cx_max_duration_reached", "connections closed at their greatest age")	\
	X(cx_destroy_active_rq, "downstream_cx_destroy_active_rq", "connections ended with a request under way")	\
	X(cx_drain_close, "downstream_cx_drain_close", "connections closed after an answer: meshd stops, or what they need is gone")	\
	X(cx_max_requests, "downstream_cx_max_requests_reached", "connections closed after max_requests_per_connection")	\
	X(cx_delayed_close_timeout, "downstream_cx_delayed_close_timeout", "connections cut off after delayed_close_timeout")	\
	X(cx_protocol_error, "downstream_cx_protocol_error", "connections closed for what is not HTTP as it must be")	\
	X(upgrades_total, "downstream_cx_upgrades_total", "connections that became tunnels")	\
	X(rq_total, "downstream_rq_total", "requests")						\
	X(rq_completed, "downstream_rq_completed", "requests that were answered")		\
	X(rq_1xx, "downstream_rq_1xx", "answers of 1xx, interim ones aside")			\
	X(rq_2xx, "downstream_rq_2xx", "answers of 2xx")					\
	X(rq_3xx, "downstream_rq_3xx", "answers of 3xx")					\
	X(rq_4xx, "downstream_rq_4xx", "answers of 4xx")					\
	X(rq_5xx, "downstream_rq_5xx", "answers of 5xx")					\
	X(rq_early, "downstream_rq_response_before_rq_complete", "answers that came before the request was complete")	\
	X(rq_rx_reset, "downstream_rq_rx_reset", "requests that the client gave up")		\
	X(rq_tx_reset, "downstream_rq_tx_reset", "answers that were cut off")			\
	X(rq_header_timeout, "downstream_rq_header_timeout", "heads not complete within request_headers_timeout")	\
	X(rq_timeout, "downstream_rq_timeout", "requests not complete within request_timeout")	\
	X(rq_idle_timeout, "downstream_rq_idle_timeout", "requests ended by stream_idle_timeout")	\
	X(no_route, "no_route", "requests that no route matches")

/* cluster.<name>.<name> */
#define CLUSTER_GAUGES(X)									\
	X(cx_active, "upstream_cx_active", "connections open now")				\
	X(rq_active, "upstream_rq_active", "requests under way now")				\
	X(rq_pending_active, "upstream_rq_pending_active", "requests that wait for a connection now")
#define CLUSTER_COUNTERS(X)									\
	X(cx_total, "upstream_cx_total", "connections begun")					\
	X(cx_connect_fail, "upstream_cx_connect_fail", "connections that failed to open")	\
	X(cx_connect_timeout, "upstream_cx_connect_timeout", "connections not open within connect_timeout")	\
	X(cx_attempts_exceeded, "upstream_cx_connect_attempts_exceeded", "given up after the last attempt")	\
	X(cx_none_healthy, "upstream_cx_none_healthy", "no endpoint to connect to")		\
	X(cx_overflow, "upstream_cx_overflow", "connections refused over max_connections of the cluster")	\
	X(cx_no_port, "upstream_cx_no_local_port", "no local port left towards an endpoint")	\
	X(cx_loop_refused, "upstream_cx_loop_refused", "endpoint is a listener of this proxy: not dialled")	\
	X(cx_destroy, "upstream_cx_destroy", "connections ended")				\
	X(cx_destroy_local, "upstream_cx_destroy_local", "connections ended by this side")	\
	X(cx_destroy_remote, "upstream_cx_destroy_remote", "connections ended by the endpoint")	\
	X(cx_idle_timeout, "upstream_cx_idle_timeout", "connections closed by the idle time-out")	\
	X(cx_rx_bytes, "upstream_cx_rx_bytes_total", "bytes received from endpoints")		\
	X(cx_tx_bytes, "upstream_cx_tx_bytes_total", "bytes sent to endpoints")			\
	X(cx_http1_total, "upstream_cx_http1_total", "connections begun for HTTP/1")		\
	X(cx_max_requests, "upstream_cx_max_requests", "connections closed after max_requests_per_connection")	\
	X(cx_max_duration, "upstream_cx_max_duration_reached", "connections closed at their greatest age")	\
	X(cx_protocol_error, "upstream_cx_protocol_error", "connections closed for what is not HTTP as it must be")	\
	X(cx_destroy_active_rq, "upstream_cx_destroy_with_active_rq", "connections ended with a request under way")	\
	X(rq_total, "upstream_rq_total", "requests sent")					\
	X(rq_completed, "upstream_rq_completed", "requests that were answered")			\
	X(rq_1xx, "upstream_rq_1xx", "answers of 1xx, interim ones aside")			\
	X(rq_2xx, "upstream_rq_2xx", "answers of 2xx")						\
	X(rq_3xx, "upstream_rq_3xx", "answers of 3xx")						\
	X(rq_4xx, "upstream_rq_4xx", "answers of 4xx")						\
	X(rq_5xx, "upstream_rq_5xx", "answers of 5xx")						\
	X(rq_pending_total, "upstream_rq_pending_total", "requests that had to wait for a connection")	\
	X(rq_pending_overflow, "upstream_rq_pending_overflow", "requests refused over max_pending_requests or max_requests")	\
	X(rq_pending_failure, "upstream_rq_pending_failure_eject", "requests that no connection could be opened for")	\
	X(rq_cancelled, "upstream_rq_cancelled", "requests given up before a connection was there")	\
	X(rq_timeout, "upstream_rq_timeout", "requests not answered within the route's timeout")	\
	X(rq_retry, "upstream_rq_retry", "requests sent again")					\
	X(rq_rx_reset, "upstream_rq_rx_reset", "requests whose connection the endpoint ended")	\
	X(rq_tx_reset, "upstream_rq_tx_reset", "requests that were cut off by this side")

/* /clusters: <cluster>::<address>::<name> */
#define ENDPOINT_GAUGES(X)									\
	X(cx_active, "cx_active", "connections open now")					\
	X(rq_active, "rq_active", "requests under way now")
#define ENDPOINT_COUNTERS(X)									\
	X(cx_total, "cx_total", "connections begun")						\
	X(cx_connect_fail, "cx_connect_fail", "connections that failed to open")		\
	X(rq_total, "rq_total", "requests sent")						\
	X(rq_success, "rq_success", "requests answered other than with 5xx")			\
	X(rq_error, "rq_error", "requests answered with 5xx, or not at all")			\
	X(rq_timeout, "rq_timeout", "requests not answered within the route's timeout")

/* worker.<n>.<name>, and server.<name> summed over the workers (loop_lag_ms: the greatest of theirs) */
#define WORKER_GAUGES(X)									\
	X(connections, "connections", "downstream connections open now")			\
	X(inflight, "operations_in_flight", "operations that the kernel holds")			\
	X(buffer_bytes, "buffer_bytes", "bytes waiting in buffers for a slow peer")		\
	X(pipes, "pipes", "pipes in use or pooled for splice(2)")				\
	X(lag_ms, "loop_lag_ms", "longest turn of the event loop within the last second, in ms")
#define WORKER_COUNTERS(X)									\
	X(accepted, "accepted", "connections accepted")						\
	X(turns, "loop_turns", "turns of the event loop")					\
	X(completions, "completions", "completions reaped")					\
	X(shed_descriptors, "shed_descriptors", "connections shed for want of descriptors")	\
	X(shed_memory, "shed_memory", "connections shed for want of memory")			\
	X(shed_lag, "shed_lag", "connections shed while the event loop lagged behind")		\
	X(buffers_out, "buffers_out", "receives that waited for a buffer")			\
	X(cq_overflow, "completion_overflow", "times the completion queue was full")		\
	X(log_lines, "access_log_lines", "lines written to the access log")			\
	X(log_dropped, "access_log_dropped", "lines dropped: the log is not read fast enough")	\
	X(spliced_bytes, "spliced_bytes", "bytes that went through splice(2)")			\
	X(deaths, "deaths", "times this worker died")

/* server.<name>: of the mesh as a whole, beside the sums over the workers */
#define SERVER_VALUES(X)									\
	X(uptime, "uptime", "seconds since meshd was started")					\
	X(concurrency, "concurrency", "workers")						\
	X(generation, "generation", "number of the newest published generation")		\
	X(reloads_ok, "reloads_ok", "configurations that were taken")				\
	X(reloads_failed, "reloads_failed", "configurations that were refused")			\
	X(intercepting, "intercepting", "1 while the interception rules are in")		\
	X(log_written, "access_log_written", "lines written to the log's file since the agent started")		\
	X(log_failed, "access_log_failed", "lines that the log's file did not take since the agent started")
