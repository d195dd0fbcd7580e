noinst_LIBRARIES += common/libcommon.a
common_libcommon_a_SOURCES = \
	%D%/addr.c %D%/addr.h %D%/ask.h %D%/cage.c %D%/cage.h %D%/confrun.c %D%/confrun.h %D%/control.h %D%/err.c %D%/err.h \
	%D%/heritage.c %D%/heritage.h %D%/image.c %D%/image.h %D%/listen.c %D%/listen.h %D%/live.c %D%/live.h %D%/log.c %D%/log.h \
	%D%/match.c %D%/match.h %D%/operations.h %D%/program.c %D%/program.h %D%/rights.c %D%/rights.h \
	%D%/stats.h %D%/wire.c %D%/wire.h
common_libcommon_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
