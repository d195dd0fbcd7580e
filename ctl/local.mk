# what this room builds
bin_PROGRAMS += meshctl
noinst_LIBRARIES += ctl/libctl.a
ctl_libctl_a_SOURCES = \
	%D%/caught.c %D%/caught.h %D%/check.c %D%/client.c %D%/client.h %D%/connections.c %D%/ctl.h %D%/doctor.c %D%/doctor.h \
	%D%/doctor_features.c %D%/doctor_kernel.c %D%/doctor_limits.c %D%/doctor_ports.c %D%/doctor_tables.c %D%/doctor_users.c \
	%D%/intercept.c %D%/json.c %D%/json.h %D%/listing.c %D%/listing.h \
	%D%/master.c %D%/master.h %D%/name.c %D%/name.h %D%/names.c \
	%D%/options.c %D%/options.h %D%/output.c %D%/output.h %D%/output_json.c %D%/output_text.c %D%/run.c %D%/run.h \
	%D%/pc_cluster.c %D%/pc_listener.c %D%/pc_route.c %D%/processes.c %D%/processes.h %D%/proxyconfig.c %D%/proxyconfig.h \
	%D%/stats.c %D%/status.c %D%/table.c %D%/table.h %D%/verify.c %D%/verify.h %D%/verify_net.c %D%/verify_rows.c %D%/verify_send.c \
	%D%/words.c %D%/words.h %D%/yaml.c %D%/yaml.h
ctl_libctl_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(CURL_CFLAGS)
meshctl_SOURCES = %D%/meshctl.c
meshctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
meshctl_LDADD = ctl/libctl.a common/libcommon.a $(JANSSON_LIBS) $(CURL_LIBS)

# bash completes a command from the file that has its very name
bashcompletiondir = $(datadir)/bash-completion/completions
EXTRA_DIST += %D%/meshctl.bash
install-data-local:
	$(MKDIR_P) $(DESTDIR)$(bashcompletiondir)
	$(INSTALL_DATA) $(srcdir)/%D%/meshctl.bash $(DESTDIR)$(bashcompletiondir)/meshctl
uninstall-local:
	rm -f $(DESTDIR)$(bashcompletiondir)/meshctl
