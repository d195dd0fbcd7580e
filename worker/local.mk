pkglibexec_PROGRAMS += meshd-worker
noinst_LIBRARIES += worker/libworker.a
worker_libworker_a_SOURCES = \
	%D%/accesslog.c %D%/accesslog.h %D%/buffers.c %D%/buffers.h %D%/confine.c %D%/confine.h %D%/connections.c %D%/connections.h %D%/conn.c %D%/conn.h %D%/control.c %D%/control.h %D%/crash.c %D%/crash.h %D%/downstream.c %D%/downstream.h \
	%D%/generation.c %D%/generation.h %D%/kin.c %D%/kin.h %D%/listener.c %D%/listener.h %D%/loop.c %D%/loop.h \
	%D%/overload.c %D%/overload.h %D%/pipes.c %D%/pipes.h %D%/source.c %D%/source.h %D%/upstream.c %D%/upstream.h %D%/flow.c %D%/flow.h %D%/wheel.c %D%/wheel.h %D%/worker.h \
	%D%/arena.c %D%/arena.h %D%/blocks.c %D%/blocks.h %D%/inbuf.c %D%/inbuf.h %D%/transport.c %D%/transport.h %D%/way.c %D%/way.h \
	%D%/http_conn.c %D%/http_conn.h %D%/stream.c %D%/stream.h %D%/http_filter.h %D%/filter_headers.c %D%/router.c %D%/path.c %D%/path.h %D%/handover.c %D%/handover.h %D%/sniff.c %D%/sniff.h \
	%D%/pool.c %D%/pool.h %D%/http_upstream.c %D%/http_upstream.h %D%/http_log.c %D%/http_log.h \
	%D%/http.c %D%/http.h %D%/http1.c %D%/http1.h %D%/http1_body.c %D%/http1_fields.c %D%/http1_inside.h %D%/http1_scan.c \
	%D%/http1_target.c %D%/http1_write.c %D%/http1_write.h
worker_libworker_a_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS) $(SECCOMP_CFLAGS) $(LLHTTP_CFLAGS)
meshd_worker_SOURCES = %D%/main.c
meshd_worker_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS)
meshd_worker_LDADD = worker/libworker.a common/libcommon.a $(LLHTTP_LINK) $(URING_LIBS) $(SECCOMP_LIBS)

# llhttp where the system has its sources only: configure.ac says why.  Not our style, so not our warnings.
if LLHTTP_FROM_SOURCES
LLHTTP_LINK = worker/libllhttp.a
LLHTTP_FUZZ = $(nodist_worker_libllhttp_a_SOURCES)
noinst_LIBRARIES += worker/libllhttp.a
nodist_worker_libllhttp_a_SOURCES = worker/llhttp/api.c worker/llhttp/http.c worker/llhttp/llhttp.c
worker_libllhttp_a_CFLAGS = -std=gnu11 $(HOUSE_CFLAGS) -w $(LLHTTP_CFLAGS)
$(nodist_worker_libllhttp_a_SOURCES): $(LLHTTP_SOURCES)/llhttp.c
	$(AM_V_GEN)$(MKDIR_P) worker/llhttp && cp $(LLHTTP_SOURCES)/$(@F) $@
CLEANFILES += $(nodist_worker_libllhttp_a_SOURCES)
else
LLHTTP_LINK = $(LLHTTP_LIBS)
LLHTTP_FUZZ = $(LLHTTP_LIBS)
endif
