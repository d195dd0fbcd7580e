/* doctor: the kernel and the machine. */
#include "ctl/doctor.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEAST_MAJOR 6
#define LEAST_MINOR 1
#define RING_FLAGS  (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED)

static void check_kernel(struct doctor *d)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) == -1 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		doctor_say(d, "kernel", FINDING_UNSEEN, "see uname -r", "its version is not known");
	else if (major < LEAST_MAJOR || (major == LEAST_MAJOR && minor < LEAST_MINOR))
		doctor_say(d, "kernel", FINDING_BAD, "boot Linux 6.1 or newer", "Linux %s", u.release);
	else
		doctor_say(d, "kernel", FINDING_OK, NULL, "Linux %s", u.release);
}

/* ---- io_uring ---- */

/* As a worker: without rights.  0 or an errno. */
static int try_ring(const struct doctor *d)
{
	const struct passwd *pw = getpwnam(doctor_setting(d, "user", "meshd"));
	uid_t uid = pw != NULL ? pw->pw_uid : 65534;
	struct io_uring_params p = { .flags = RING_FLAGS };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (d->root && setresuid(uid, uid, uid) == -1)
			_exit(errno);
		_exit(syscall(SYS_io_uring_setup, 8, &p) == -1 ? errno : 0);
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return errno;
	/* who kills instead of answering forbids too */
	return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
}

static void check_ring(struct doctor *d)
{
	long long disabled = doctor_number("/proc/sys/kernel/io_uring_disabled");
	int code = try_ring(d);

	if (code == 0)
		doctor_say(d, "io_uring", FINDING_OK, NULL, "can be used");
	else if (code == EPERM && disabled > 0)
		doctor_say(d, "io_uring", FINDING_BAD, "sysctl -w kernel.io_uring_disabled=0, and a file in /etc/sysctl.d",
		    "kernel.io_uring_disabled = %lld", disabled);
	else if (code == EPERM || code == ENOSYS)
		doctor_say(d, "io_uring", FINDING_BAD, "allow io_uring_setup(2) in the container's seccomp profile, or take a kernel with it",
		    "it is forbidden here: %s", strerror(code));
	else if (code == ENOMEM)
		doctor_say(d, "io_uring", FINDING_BAD, "raise LimitMEMLOCK of the unit (ulimit -l)", "%s", strerror(code));
	else
		doctor_say(d, "io_uring", FINDING_BAD, "boot Linux 6.1 or newer", "%s", strerror(code));
}

/* ---- bpf(2) ---- */

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The least program of the kind: "pass".  0 or an errno. */
static int try_program(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_REUSEPORT;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (uint64_t)(uintptr_t)"GPL";
	if ((fd = bpf(BPF_PROG_LOAD, &attr)) == -1)
		return errno;
	close(fd);
	return 0;
}

static void check_bpf(struct doctor *d)
{
	static const char remedy[] = "allow bpf(2) (CAP_BPF and CAP_NET_ADMIN, the container's seccomp profile): without it the kernel's hash spreads";
	const char *spread = json_text(json_object_get(d->status, "connections"), "spread");
	int code;

	if (strcmp(spread, "bpf") == 0)
		doctor_say(d, "bpf", FINDING_OK, NULL, "connections are spread by it");
	else if (*spread != '\0')
		doctor_say(d, "bpf", FINDING_WARNING, remedy, "connections are spread by the kernel's hash");
	else if (!d->root)
		doctor_say(d, "bpf", FINDING_UNSEEN, "run it as root", "whether bpf(2) is allowed");
	else if ((code = try_program()) != 0)
		doctor_say(d, "bpf", FINDING_WARNING, remedy, "%s", strerror(code));
	else
		doctor_say(d, "bpf", FINDING_OK, NULL, "can be used");
}

/* ---- the rest ---- */

static void check_v6(struct doctor *d)
{
	static const char off[] = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

	if (access("/proc/net/if_inet6", F_OK) == -1)
		doctor_say(d, "IPv6", FINDING_OK, NULL, "the kernel has none: rules are for IPv4 alone");
	else if (doctor_number(off) == 1)
		doctor_say(d, "IPv6", FINDING_OK, NULL, "switched off (net.ipv6.conf.all.disable_ipv6)");
	else
		doctor_say(d, "IPv6", FINDING_OK, NULL, "present");
}

static void check_clock(struct doctor *d)
{
	static const char remedy[] = "timedatectl set-ntp true, or run chrony or ntpd";
	struct timex t = { .modes = 0 };
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	if (tm.tm_year + 1900 < 2024 || tm.tm_year + 1900 > 2099)
		doctor_say(d, "clock", FINDING_BAD, "set it: date -s, hwclock --systohc; then run chrony or ntpd", "it is the year %d",
		    tm.tm_year + 1900);
	else if (adjtimex(&t) == -1)
		doctor_say(d, "clock", FINDING_UNSEEN, remedy, "whether it is kept right: %s", strerror(errno));
	else if ((t.status & STA_UNSYNC) != 0)
		doctor_say(d, "clock", FINDING_WARNING, remedy, "nothing keeps it right: times in the access log may be wrong");
	else
		doctor_say(d, "clock", FINDING_OK, NULL, "is kept right");
}

static long long available_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	long long kib = -1;
	char line[128];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "MemAvailable: %lld", &kib) == 1)
			break;
	}
	if (f != NULL)
		fclose(f);
	return kib;
}

static void check_memory(struct doctor *d)
{
	static const char remedy[] = "free some, or give the machine more: connections whose peer is slow are kept in memory";
	long long mib = available_kib() / 1024;

	if (mib < 0)
		doctor_say(d, "memory", FINDING_UNSEEN, "see free(1)", "how much is free");
	else
		doctor_say(d, "memory", mib < 64 ? FINDING_BAD : mib < 256 ? FINDING_WARNING : FINDING_OK, mib < 256 ? remedy : NULL,
		    "%lld MiB are available", mib);
}

void doctor_kernel(struct doctor *d)
{
	check_kernel(d);
	check_ring(d);
	check_bpf(d);
	check_v6(d);
	check_clock(d);
	check_memory(d);
}
