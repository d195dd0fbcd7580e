pkglibexec_PROGRAMS += meshd-worker
noinst_LIBRARIES += worker/libworker.a
worker_libworker_a_SOURCES = \
	%D%/accesslog.c %D%/accesslog.h %D%/buffers.c %D%/buffers.h %D%/confine.c %D%/confine.h %D%/connections.c %D%/connections.h %D%/conn.c %D%/conn.h %D%/control.c %D%/control.h %D%/crash.c %D%/crash.h \
	%D%/generation.c %D%/generation.h %D%/kin.c %D%/kin.h %D%/listener.c %D%/listener.h %D%/loop.c %D%/loop.h \
	%D%/overload.c %D%/overload.h %D%/pipes.c %D%/pipes.h %D%/source.c %D%/source.h %D%/upstream.c %D%/upstream.h %D%/flow.c %D%/flow.h %D%/wheel.c %D%/wheel.h %D%/worker.h
worker_libworker_a_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS) $(SECCOMP_CFLAGS)
meshd_worker_SOURCES = %D%/main.c
meshd_worker_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS)
meshd_worker_LDADD = worker/libworker.a common/libcommon.a $(URING_LIBS) $(SECCOMP_LIBS)
