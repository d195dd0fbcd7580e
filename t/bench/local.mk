# make bench: load is built for it alone.
EXTRA_PROGRAMS = t/bench/load
t_bench_load_SOURCES = %D%/load.c %D%/load.h %D%/net.c %D%/messages.c %D%/http.c %D%/blocks.c
t_bench_load_LDADD = -lpthread
EXTRA_DIST += %D%/bench %D%/cases.py %D%/contestants.py %D%/figures.py %D%/idle.py %D%/measure.py %D%/processes.py
CLEANFILES += $(EXTRA_PROGRAMS)

bench: all t/bench/load
	$(top_srcdir)/t/bench/bench $(abs_builddir)
.PHONY: bench
