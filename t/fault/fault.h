/*
 * What goes wrong in a worker built for it, said by a small file that a test writes and this worker has mapped.
 * The test clears `armed`, fills in a row and sets `armed` again: one running meshd meets the whole table of faults.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define FAULT_FILE "MESHD_FAULT"		/* environment: where the file is */
#define FAULT_RING "MESHD_FAULT_RING"		/* environment: entries of the submission queue, twice as many completions */
#define FAULT_ROWS 2				/* some need another one beside them */

struct fault {
	_Atomic uint32_t armed;
	int32_t value;		/* below nought: an errno; else bytes at most, or what a poll has to say */
	int32_t only;		/* this option, command or direction; -1: any */
	uint32_t first, times;	/* from this occurrence on, counted from 1, so many */
	_Atomic uint32_t seen, hit;
	char name[36];		/* of a function, or of an operation of the ring: "OP_DATA0" */
};

struct fault_file {
	struct fault row[FAULT_ROWS];
	_Atomic int32_t on_loan;	/* receive buffers that the kernel handed out and has not got back */
};
