pkglibexec_PROGRAMS += meshd-conf
noinst_LIBRARIES += conf/libconf.a
conf_libconf_a_SOURCES = \
	%D%/check.c %D%/check.h %D%/check_binds.c %D%/check_chains.c %D%/check_intercept.c \
	%D%/compile.c %D%/compile.h %D%/compile_intercept.c %D%/compiler.h %D%/confine.c %D%/confine.h \
	%D%/expand.c %D%/expand.h %D%/expand_intercept.c %D%/expand_pieces.c %D%/expansion.h \
	%D%/grammar.c %D%/grammar.h %D%/keys.c %D%/keys.h %D%/keys_net.c %D%/keys_net.h %D%/load.c %D%/load.h %D%/matches.c %D%/matches.h \
	%D%/memory.c %D%/memory.h %D%/model.h %D%/nearest.c %D%/nearest.h %D%/plain_http.c %D%/plain_http.h %D%/print.c %D%/print.h \
	%D%/read.h %D%/read_libconfig.c %D%/report.c %D%/report.h %D%/routes.c %D%/routes.h %D%/rows.c %D%/scan.c %D%/scan.h \
	%D%/source.c %D%/source.h %D%/turns.c %D%/turns.h %D%/text.c %D%/text.h
conf_libconf_a_CFLAGS = $(AM_CFLAGS) $(LIBCONFIG_CFLAGS) $(CRYPTO_CFLAGS) $(SECCOMP_CFLAGS)
meshd_conf_SOURCES = %D%/main.c
meshd_conf_LDADD = conf/libconf.a common/libcommon.a $(LIBCONFIG_LIBS) $(CRYPTO_LIBS) $(SECCOMP_LIBS)
EXTRA_DIST += %D%/samples/sidecar.conf %D%/samples/gateway.conf %D%/samples/http.conf %D%/samples/registry-only.conf
EXTRA_DIST += %D%/samples/intercept.conf %D%/samples/one-port.conf %D%/samples/tproxy.conf
