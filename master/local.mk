sbin_PROGRAMS += meshd
noinst_LIBRARIES += master/libmaster.a
master_libmaster_a_SOURCES = \
	%D%/addresses.c %D%/addresses.h %D%/captures.c %D%/captures.h %D%/control.c %D%/control.h %D%/control_client.h %D%/control_rules.c \
	%D%/cpus.c %D%/cpus.h %D%/crashes.c %D%/crashes.h %D%/direct.c %D%/direct.h %D%/found.c %D%/found.h \
	%D%/intercept.c %D%/intercept.h %D%/intercept_decide.c %D%/intercept_inside.h %D%/iptables.c %D%/iptables.h %D%/iptables_run.c \
	%D%/listing.c %D%/listing.h %D%/loop.c %D%/loop.h %D%/loops.c %D%/master.c %D%/master.h %D%/notify.c %D%/notify.h \
	%D%/owners.c %D%/owners.h %D%/policy.c %D%/policy.h %D%/poststop.c %D%/poststop.h %D%/publish.c %D%/publish.h \
	%D%/reload.c %D%/reload.h %D%/report.c %D%/report.h %D%/restore.c %D%/restore.h %D%/rollback.c %D%/rollback.h %D%/rules.c %D%/rules.h %D%/ruleset.c %D%/ruleset.h %D%/rundir.c %D%/rundir.h \
	%D%/saved.c %D%/saved.h %D%/scene.c %D%/scene.h %D%/sockets.c %D%/sockets.h \
	%D%/sole.c %D%/sole.h %D%/spread.c %D%/spread.h %D%/state.c %D%/state.h %D%/stop.c %D%/strangers.c %D%/strangers.h %D%/supervise.c %D%/supervise.h %D%/undo.c %D%/undo.h %D%/watchdog.c %D%/watchdog.h
master_libmaster_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
meshd_SOURCES = %D%/main.c
meshd_CFLAGS = $(AM_CFLAGS)
meshd_LDADD = master/libmaster.a common/libcommon.a $(SYSTEMD_LIBS)

systemdsystemunit_DATA = %D%/meshd.service
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = %D%/sysusers.d/meshd.conf
EXTRA_DIST += %D%/meshd.service.in
CLEANFILES += %D%/meshd.service
%D%/meshd.service: %D%/meshd.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) %D% && sed -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@bindir[@]|$(bindir)|g' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' $(srcdir)/%D%/meshd.service.in > $@
