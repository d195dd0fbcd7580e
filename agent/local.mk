# what this room builds
pkglibexec_PROGRAMS += meshd-agent
noinst_LIBRARIES += agent/libagent.a
agent_libagent_a_SOURCES = \
	%D%/admin.c %D%/admin.h %D%/agent.c %D%/agent.h %D%/answers.h %D%/clusters.c %D%/confine.c %D%/confine.h %D%/config_dump.c \
	%D%/dump_http.c %D%/dump_http.h \
	%D%/logs.c %D%/logs.h %D%/settings.c %D%/stats.c %D%/status.c %D%/text.c %D%/text.h
agent_libagent_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS) $(JANSSON_CFLAGS) $(PCRE2_CFLAGS) $(SECCOMP_CFLAGS)
meshd_agent_SOURCES = %D%/main.c
meshd_agent_LDADD = agent/libagent.a common/libcommon.a $(MICROHTTPD_LIBS) $(JANSSON_LIBS) $(PCRE2_LIBS) $(SECCOMP_LIBS)
