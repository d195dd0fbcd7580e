/* Spreading connections over the workers: see spread.h. */
#include "master/spread.h"

#include "common/live.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct spread {
	int loads_fd;
	unsigned workers;
	_Atomic uint64_t *loads;	/* one word for each worker */
};

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int create_map(enum bpf_map_type type, unsigned value_size, unsigned entries, unsigned flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = value_size;
	attr.max_entries = entries;
	attr.map_flags = flags;
	return bpf(BPF_MAP_CREATE, &attr);
}

int spread_open(unsigned workers, struct spread **spread_r, struct err *e)
{
	struct spread *s = calloc(1, sizeof(*s));
	size_t bytes = LIVE_WORKERS_MAX * sizeof(uint64_t);

	if (s == NULL)
		return err_set(e, "out of memory");
	s->workers = workers;
	s->loads_fd = create_map(BPF_MAP_TYPE_ARRAY, (unsigned)bytes, 1, BPF_F_MMAPABLE);
	if (s->loads_fd == -1) {
		err_set(e, "bpf: %m");
		goto fail;
	}
	s->loads = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->loads_fd, 0);
	if (s->loads == MAP_FAILED) {
		err_set(e, "bpf: mmap: %m");
		close(s->loads_fd);
		goto fail;
	}
	*spread_r = s;
	return 0;
fail:
	free(s);
	return -1;
}

int spread_fd(const struct spread *s)
{
	return s->loads_fd;
}

void spread_forget_worker(struct spread *s, unsigned worker)
{
	atomic_store_explicit(&s->loads[worker], SPREAD_DEAD, memory_order_relaxed);
}

/* ---- the program ---- */

struct code {
	struct bpf_insn insn[16 + 4 * LIVE_WORKERS_MAX + 16];
	unsigned n;
};

static void emit(struct code *c, uint8_t op, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	c->insn[c->n++] = (struct bpf_insn){ .code = op, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm };
}

static void emit_map(struct code *c, uint8_t dst, int fd)
{
	emit(c, BPF_LD | BPF_DW | BPF_IMM, dst, BPF_PSEUDO_MAP_FD, 0, fd);
	emit(c, 0, 0, 0, 0, 0);
}

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

#define MOV(c, dst, src)	emit(c, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define MOV_K(c, dst, k)	emit(c, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, k)
#define ADD_K(c, dst, k)	emit(c, BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, k)
#define LOAD(c, dst, src, off)	emit(c, BPF_LDX | BPF_MEM | BPF_DW, dst, src, off, 0)
#define STORE_K(c, dst, off, k)	emit(c, BPF_ST | BPF_MEM | BPF_W, dst, 0, off, k)
#define STORE(c, dst, off, src)	emit(c, BPF_STX | BPF_MEM | BPF_W, dst, src, off, 0)
#define CALL(c, f)		emit(c, BPF_JMP | BPF_CALL, 0, 0, 0, f)

/*
 * r6 = context, r7 = the loads, r8 = the worker with the least, r9 = its load, *(u32 *)(r10 - 4) = a key.
 * Straight on, a compare and a move for each worker: no loop for the verifier to bound.
 */
static void write_program(struct code *c, unsigned workers, int loads_fd, int sockets_fd)
{
	c->n = 0;
	MOV(c, R6, R1);
	STORE_K(c, R10, -4, 0);
	emit_map(c, R1, loads_fd);
	MOV(c, R2, R10);
	ADD_K(c, R2, -4);
	CALL(c, BPF_FUNC_map_lookup_elem);
	emit(c, BPF_JMP | BPF_JNE | BPF_K, R0, 0, 2, 0);		/* never NULL; the verifier wants it asked */
	MOV_K(c, R0, SK_PASS);
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	MOV(c, R7, R0);
	MOV_K(c, R8, 0);
	LOAD(c, R9, R7, 0);
	for (unsigned i = 1; i < workers; i++) {
		LOAD(c, R1, R7, (int16_t)(i * 8));
		emit(c, BPF_JMP | BPF_JGE | BPF_X, R1, R9, 2, 0);
		MOV(c, R9, R1);
		MOV_K(c, R8, (int32_t)i);
	}
	STORE(c, R10, -4, R8);
	emit(c, BPF_ALU64 | BPF_LSH | BPF_K, R8, 0, 0, 3);
	emit(c, BPF_ALU64 | BPF_AND | BPF_K, R8, 0, 0, (int32_t)(LIVE_WORKERS_MAX * 8 - 1));	/* bounds, for the verifier */
	emit(c, BPF_ALU64 | BPF_ADD | BPF_X, R7, R8, 0, 0);
	MOV_K(c, R1, 1);
	emit(c, BPF_STX | BPF_ATOMIC | BPF_DW, R7, R1, 0, BPF_ADD);
	MOV(c, R1, R6);
	emit_map(c, R2, sockets_fd);
	MOV(c, R3, R10);
	ADD_K(c, R3, -4);
	MOV_K(c, R4, 0);
	CALL(c, BPF_FUNC_sk_select_reuseport);		/* fails for a socket that is gone: then the hash decides */
	MOV_K(c, R0, SK_PASS);
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static int load_program(const struct spread *s, int sockets_fd)
{
	union bpf_attr attr;
	struct code code;

	write_program(&code, s->workers, s->loads_fd, sockets_fd);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SK_REUSEPORT;
	attr.expected_attach_type = BPF_SK_REUSEPORT_SELECT;
	attr.insns = (uintptr_t)code.insn;
	attr.insn_cnt = code.n;
	attr.license = (uintptr_t)"GPL";
	memcpy(attr.prog_name, "meshd_spread", sizeof("meshd_spread"));
	return bpf(BPF_PROG_LOAD, &attr);
}

static int fill(int sockets_fd, const int *fds, unsigned n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t value = (uint64_t)fds[i];
		union bpf_attr attr;

		memset(&attr, 0, sizeof(attr));
		attr.map_fd = (uint32_t)sockets_fd;
		attr.key = (uintptr_t)&i;
		attr.value = (uintptr_t)&value;
		attr.flags = BPF_ANY;
		if (bpf(BPF_MAP_UPDATE_ELEM, &attr) == -1)
			return -1;
	}
	return 0;
}

int spread_group(const struct spread *s, const int *fds, struct err *e)
{
	int sockets = create_map(BPF_MAP_TYPE_REUSEPORT_SOCKARRAY, sizeof(uint64_t), s->workers, 0), program = -1, r = -1;

	if (sockets == -1 || fill(sockets, fds, s->workers) == -1 || (program = load_program(s, sockets)) == -1 ||
	    setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &program, sizeof(program)) == -1)
		err_set(e, "bpf: %m");
	else
		r = 0;
	/* The socket holds the program, the program its maps. */
	if (program != -1)
		close(program);
	if (sockets != -1)
		close(sockets);
	return r;
}
