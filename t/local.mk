# Unit tests mirror the tree, one program for each room; t/run-unit counts their cases.
UNIT_TESTS =
if HAVE_CRITERION
UNIT_TESTS += unit-common
UNIT_TESTS += unit-worker
UNIT_TESTS += unit-agent
UNIT_TESTS += unit-conf
UNIT_TESTS += unit-ctl
UNIT_TESTS += unit-master
endif
check_PROGRAMS += $(UNIT_TESTS)
unit_common_SOURCES = %D%/unit/common/addr.c %D%/unit/common/live.c %D%/unit/common/route.c %D%/unit/common/wire.c
unit_common_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) -Wno-shadow
unit_common_LDADD = common/libcommon.a $(CRITERION_LIBS)
unit_worker_SOURCES = %D%/unit/worker/accesslog.c %D%/unit/worker/blocks.c %D%/unit/worker/path.c %D%/unit/worker/sniff.c %D%/unit/worker/wheel.c \
	%D%/unit/worker/http1_feed.c %D%/unit/worker/http1_feed.h %D%/unit/worker/http1_rows.c %D%/unit/worker/http1_rows.h \
	%D%/unit/worker/http1_bodies.c %D%/unit/worker/http1_requests.c %D%/unit/worker/http1_responses.c %D%/unit/worker/http1_write.c
unit_worker_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) $(URING_CFLAGS) -Wno-shadow
unit_worker_LDADD = worker/libworker.a common/libcommon.a $(LLHTTP_LINK) $(CRITERION_LIBS)
# What the codec makes of messages, for the comparison with h11.
check_PROGRAMS += http1-show
http1_show_SOURCES = %D%/unit/worker/http1_show.c %D%/unit/worker/http1_feed.c %D%/unit/worker/http1_feed.h
http1_show_LDADD = worker/libworker.a $(LLHTTP_LINK)
EXTRA_DIST += %D%/http1-h11.sh %D%/unit/worker/http1_h11.py
unit_agent_SOURCES = %D%/unit/agent/agent.c %D%/unit/agent/answers.c %D%/unit/agent/corrupt.c \
	%D%/unit/agent/dump.c %D%/unit/agent/fixture.c %D%/unit/agent/fixture.h %D%/unit/agent/logs.c %D%/unit/conf/try.c %D%/unit/conf/try.h
unit_agent_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"'
unit_agent_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) $(JANSSON_CFLAGS) -Wno-shadow
unit_agent_LDADD = agent/libagent.a conf/libconf.a common/libcommon.a $(CRITERION_LIBS) $(MICROHTTPD_LIBS) $(JANSSON_LIBS) $(PCRE2_LIBS) \
	$(LIBCONFIG_LIBS) $(CRYPTO_LIBS)
unit_conf_SOURCES = %D%/unit/conf/try.c %D%/unit/conf/try.h \
	%D%/unit/conf/big.c %D%/unit/conf/check.c %D%/unit/conf/confrun.c %D%/unit/conf/http.c %D%/unit/conf/image.c %D%/unit/conf/intercept.c \
	%D%/unit/conf/keys.c %D%/unit/conf/samples.c \
	%D%/unit/conf/source.c %D%/unit/conf/turns.c
unit_conf_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"'
unit_conf_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) -Wno-shadow
unit_conf_LDADD = conf/libconf.a common/libcommon.a $(CRITERION_LIBS) $(LIBCONFIG_LIBS) $(CRYPTO_LIBS)
# Stands in for meshd-conf, in unit-conf and in the flow tests.
check_PROGRAMS += confined
confined_SOURCES = %D%/unit/conf/confined.c
confined_LDADD = conf/libconf.a common/libcommon.a $(SECCOMP_LIBS)
unit_ctl_SOURCES = %D%/unit/ctl/caught.c %D%/unit/ctl/completion.c %D%/unit/ctl/connections.c %D%/unit/ctl/fake.c %D%/unit/ctl/fake.h \
	%D%/unit/ctl/forms.c %D%/unit/ctl/meshctl.c %D%/unit/ctl/name.c %D%/unit/ctl/reload.c %D%/unit/ctl/routes.c %D%/unit/ctl/table.c %D%/unit/ctl/words.c \
	%D%/unit/agent/fixture.c %D%/unit/agent/fixture.h
unit_ctl_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"'
unit_ctl_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) $(JANSSON_CFLAGS) -Wno-shadow
unit_ctl_LDADD = ctl/libctl.a common/libcommon.a $(CRITERION_LIBS) $(JANSSON_LIBS) $(CURL_LIBS)
unit_master_SOURCES = %D%/unit/master/cpus.c %D%/unit/master/crashes.c %D%/unit/master/found.c %D%/unit/master/publish.c %D%/unit/master/rollback.c %D%/unit/master/rules.c \
	%D%/unit/master/sample.c %D%/unit/master/sample.h %D%/unit/master/sockets.c %D%/unit/master/strangers.c
unit_master_CFLAGS = $(AM_CFLAGS) $(CRITERION_CFLAGS) -Wno-shadow
unit_master_LDADD = master/libmaster.a common/libcommon.a $(CRITERION_LIBS) $(SYSTEMD_LIBS)

# Moves bytes for the flow tests.
check_PROGRAMS += mover
mover_SOURCES = %D%/flow/mover.c

# A worker whose calls and completions fail as t/flow/test_faults.py says; never installed.
check_PROGRAMS += meshd-worker-faulty
meshd_worker_faulty_SOURCES = worker/main.c %D%/fault/fault.c %D%/fault/fault.h
meshd_worker_faulty_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS)
meshd_worker_faulty_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=socket,--wrap=setsockopt,--wrap=getsockopt,--wrap=bind,--wrap=accept4,--wrap=getsockname,--wrap=shutdown \
	-Wl,--wrap=pipe2,--wrap=fcntl,--wrap=send,--wrap=sendmsg,--wrap=recv,--wrap=write,--wrap=splice \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc \
	-Wl,--wrap=io_uring_submit,--wrap=io_uring_submit_and_wait_timeout,--wrap=io_uring_queue_init_params \
	-Wl,--wrap=worker_complete,--wrap=buffer_return
meshd_worker_faulty_LDADD = $(meshd_worker_LDADD)
# meshd takes the programs beside its own executable.
faulty/meshd: meshd meshd-conf meshd-agent meshd-worker-faulty
	$(MKDIR_P) faulty
	cp meshd-conf meshd-agent faulty
	cp meshd-worker-faulty faulty/meshd-worker
	cp meshd faulty
CLEANFILES += faulty/meshd faulty/meshd-conf faulty/meshd-agent faulty/meshd-worker

# Fuzzing: the corpus is replayed in `make check`, libFuzzer searches in `make fuzz`.
check_PROGRAMS += replay-conf
replay_conf_SOURCES = %D%/fuzz/conf.c %D%/fuzz/replay.c
replay_conf_LDADD = conf/libconf.a common/libcommon.a $(LIBCONFIG_LIBS) $(CRYPTO_LIBS)
fuzz_http1 = %D%/fuzz/http1.c %D%/fuzz/http1.h %D%/fuzz/replay.c %D%/unit/worker/http1_feed.c %D%/unit/worker/http1_feed.h
check_PROGRAMS += replay-http1_request replay-http1_response replay-http1_chunked
replay_http1_request_SOURCES = %D%/fuzz/http1_request.c $(fuzz_http1)
replay_http1_request_LDADD = worker/libworker.a $(LLHTTP_LINK)
replay_http1_response_SOURCES = %D%/fuzz/http1_response.c $(fuzz_http1)
replay_http1_response_LDADD = worker/libworker.a $(LLHTTP_LINK)
replay_http1_chunked_SOURCES = %D%/fuzz/http1_chunked.c $(fuzz_http1)
replay_http1_chunked_LDADD = worker/libworker.a $(LLHTTP_LINK)
EXTRA_DIST += %D%/fuzz/replay.sh %D%/fuzz/fuzz.sh %D%/fuzz/conf.dict %D%/fuzz/http1.dict %D%/fuzz/corpus
CLEANFILES += fuzz-conf fuzz-http1_request fuzz-http1_response fuzz-http1_chunked
fuzz:
	LLHTTP="$(LLHTTP_CFLAGS) $(LLHTTP_FUZZ)" srcdir=$(abs_top_srcdir) sh $(top_srcdir)/t/fuzz/fuzz.sh
.PHONY: fuzz

EXTRA_DIST += %D%/run-unit %D%/include-rule.sh %D%/ldd-rule.sh %D%/manual.sh %D%/demo %D%/demo-app.py
EXTRA_DIST += %D%/flow/conftest.py %D%/flow/lib/__init__.py %D%/flow/lib/hosts.py %D%/flow/lib/mesh.py %D%/flow/lib/meshd.py
EXTRA_DIST += %D%/flow/lib/crowd.py %D%/flow/lib/faults.py %D%/flow/lib/inside.py %D%/flow/lib/programs.py %D%/flow/lib/rules.py %D%/flow/lib/shop.py %D%/flow/lib/traffic.py
EXTRA_DIST += %D%/flow/lib/landing.py %D%/flow/lib/matrix.py %D%/flow/lib/neighbours.py %D%/flow/lib/rig.py
EXTRA_DIST += %D%/flow/lib/crowd.py %D%/flow/lib/faults.py %D%/flow/lib/inside.py %D%/flow/lib/programs.py %D%/flow/lib/traffic.py
EXTRA_DIST += %D%/flow/lib/http_client.py %D%/flow/lib/http_mesh.py %D%/flow/lib/http_origin.py %D%/flow/lib/http_programs.py
EXTRA_DIST += %D%/flow/lib/http_requests.py %D%/flow/lib/http_responses.py %D%/flow/lib/http_rows.py %D%/flow/lib/http_wire.py
EXTRA_DIST += %D%/flow/systemd/boot.sh
EXTRA_DIST += %D%/flow/test_balance.py
EXTRA_DIST += %D%/flow/test_conf.py
EXTRA_DIST += %D%/flow/test_confine.py
EXTRA_DIST += %D%/flow/test_crashes.py
EXTRA_DIST += %D%/flow/test_death.py
EXTRA_DIST += %D%/flow/test_doctor.py
EXTRA_DIST += %D%/flow/test_drain.py
EXTRA_DIST += %D%/flow/test_faults.py
EXTRA_DIST += %D%/flow/test_http.py
EXTRA_DIST += %D%/flow/test_http_faults.py
EXTRA_DIST += %D%/flow/test_http_intercept.py
EXTRA_DIST += %D%/flow/test_forwarded.py
EXTRA_DIST += %D%/flow/test_http_messages.py
EXTRA_DIST += %D%/flow/test_http_pool.py
EXTRA_DIST += %D%/flow/test_http_programs.py
EXTRA_DIST += %D%/flow/test_http_slow.py
EXTRA_DIST += %D%/flow/test_http_streams.py
EXTRA_DIST += %D%/flow/test_http_tunnels.py
EXTRA_DIST += %D%/flow/test_intercept_life.py
EXTRA_DIST += %D%/flow/killer.c %D%/flow/test_intercept_harm.py
EXTRA_DIST += %D%/flow/test_lifecycle.py
EXTRA_DIST += %D%/flow/test_limits.py
EXTRA_DIST += %D%/flow/test_loops.py
EXTRA_DIST += %D%/flow/test_many.py
EXTRA_DIST += %D%/flow/test_matrix.py
EXTRA_DIST += %D%/flow/test_open.py
EXTRA_DIST += %D%/flow/test_orphans.py
EXTRA_DIST += %D%/flow/test_programs.py
EXTRA_DIST += %D%/flow/test_readme.py
EXTRA_DIST += %D%/flow/test_reload.py
EXTRA_DIST += %D%/flow/test_routes.py
EXTRA_DIST += %D%/flow/test_shortage.py
EXTRA_DIST += %D%/flow/test_single_port.py
EXTRA_DIST += %D%/flow/test_smuggling.py
EXTRA_DIST += %D%/flow/test_sources.py
EXTRA_DIST += %D%/flow/test_storm.py
EXTRA_DIST += %D%/flow/test_systemd.py
EXTRA_DIST += %D%/flow/test_tables.py
EXTRA_DIST += %D%/flow/test_tproxy.py
EXTRA_DIST += %D%/flow/test_tunnel.py
EXTRA_DIST += %D%/flow/test_verify.py

check-local: $(check_PROGRAMS) meshd
	srcdir=$(abs_top_srcdir) sh $(top_srcdir)/t/run-unit $(UNIT_TESTS) $(abs_top_srcdir)/t/include-rule.sh \
		$(abs_top_srcdir)/t/ldd-rule.sh $(abs_top_srcdir)/t/manual.sh $(abs_top_srcdir)/t/fuzz/replay.sh \
		$(abs_top_srcdir)/t/http1-h11.sh

# Real programs in network namespaces: needs root, Debian's pytest, and the servers that bootstrap.sh installs.
# FLOW="-k redis" chooses; MESHD_LONG=1 takes the long forms.
check-flow: all mover confined faulty/meshd
	case "$(HOUSE_CFLAGS)" in *fsanitize*) MESHD_SANITIZED=1; export MESHD_SANITIZED ;; esac; \
	MESHD_BUILD=$(abs_top_builddir) PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -rs -p no:cacheprovider \
		--tb=short $(FLOW) $(abs_top_srcdir)/t/flow
.PHONY: check-flow
