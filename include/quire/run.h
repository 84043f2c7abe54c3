/*
 * run.h - run an unmodified Linux program on a machine, and learn what its memory did.
 *
 * Use     Fill a struct quire_run_config, call quire_run(), read the report, quire_report_free()
 *         it.
 *         quire_run() must be called from a process of one thread: it forks. It needs Linux 6.4 and
 *         CAP_SYS_ADMIN and CAP_SYS_PTRACE (root, normally); it says what is missing and exits 125.
 * Units   named: _kb is KiB, _pages 4 KiB pages, _s seconds, _ns nanoseconds.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_RUN_H
#define QUIRE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#define QUIRE_KNOB_VALUES 5

/* A knob of /proc/sys/vm, as "--set name=value" or "name=value,value" gives it. */
struct quire_knob {
	const char *name;
	uint64_t value[QUIRE_KNOB_VALUES];
	unsigned int nr_values;
};

#define QUIRE_KNOBS_MAX 32

/*
 * What to inject, for tests: the n-th transfer of the swap device ends with this errno; other
 * threads have so many microseconds while a mapping is half made.
 */
struct quire_failure {
	unsigned long reads, writes; /* counted from 1; 0: none */
	int error;
	unsigned int pause_us;
};

#define QUIRE_NODES_MAX	  64
#define QUIRE_RAM_MAX	  128
#define QUIRE_CPUS_MAX	  64
#define QUIRE_ACTIONS_MAX 64

/* RAM at [start, start + bytes) of a node; multiples of 2 MiB. */
struct quire_ram {
	uint64_t start, bytes;
	unsigned int node;
};

/* How the machine finds the struct page of a frame. */
enum quire_memory_model { QUIRE_FLATMEM, QUIRE_DISCONTIGMEM, QUIRE_SPARSEMEM };

/*
 * The zones: DMA, DMA32, Normal, Movable; or, as on a 32-bit x86, DMA, Normal below 896 MiB, where
 * all that is the kernel's must lie, HighMem, Movable.
 */
enum quire_layout { QUIRE_LAYOUT_64, QUIRE_LAYOUT_32 };

/* Which node a program's page comes from. */
enum quire_policy { QUIRE_LOCAL, QUIRE_PREFERRED, QUIRE_INTERLEAVE };

/* How the machine is built. All zero: `ram_bytes` in one piece, on one node with one CPU. */
struct quire_topology {
	struct quire_ram ram[QUIRE_RAM_MAX]; /* ascending; what is between are holes */
	unsigned int nr_ram;
	unsigned int nr_nodes; /* 0: as many as `ram` names */
	uint8_t distance[QUIRE_NODES_MAX][QUIRE_NODES_MAX]; /* [0][0] 0: 10 and 20 */
	unsigned int nr_cpus; /* 0: one for each node */
	uint8_t cpu_node[QUIRE_CPUS_MAX]; /* node of each CPU, where nr_cpus is not 0 */
	enum quire_memory_model model;
	enum quire_layout layout;
	enum quire_policy policy;
	unsigned int preferred_node;
	uint64_t max_bytes; /* end of what hot-added memory may reach; 0: nothing is added */
	uint64_t movable_bytes; /* zone Movable, at the top of each node (movablecore=) */
	uint64_t cma_bytes; /* an area on node 0 that can be had in one piece (cma=) */
};

/*
 * What quire_run() does while the program runs, `at_ms` after the machine's boot: a command of
 * docs/migrate.md, such as "offline 512M-640M". What fails is said on stderr and counted.
 */
struct quire_action {
	uint64_t at_ms;
	const char *command;
};

struct quire_report;

struct quire_run_config {
	uint64_t ram_bytes; /* of all of topology.ram, where that is given */
	struct quire_topology topology;
	struct quire_action action[QUIRE_ACTIONS_MAX]; /* by time */
	unsigned int nr_actions;
	bool page_owner; /* remember how each frame was allocated, for the order "owners" */
	bool page_poison; /* freed frames are filled; one that is written to ends the run */
	const char *control_path; /* a socket for `quire ctl`; NULL: none */
	uint64_t swap_bytes; /* 0: no swap */
	const char *swap_path; /* NULL: a file without a name in $TMPDIR or /var/tmp */
	bool swap_direct; /* past the host's page cache, at the speed of its disk */
	struct quire_knob knob[QUIRE_KNOBS_MAX];
	unsigned int nr_knobs;
	bool seeded; /* fix every choice, address layout included */
	uint64_t seed;
	bool verbose; /* the machine's log on stderr */
	bool wait_all; /* for every process, not just the first, before what is left is killed */
	struct quire_failure fail;
	/* Called about every `progress_ms` with the report so far; NULL: never. */
	void (*progress)(const struct quire_report *so_far);
	unsigned int progress_ms;
	char **argv; /* the program, found by PATH, and its arguments */
};

struct quire_usage {
	uint64_t peak_kb, mean_kb, now_kb;
};

/* Mappings made that the host holds, outside the machine's RAM: a sum over the run. */
struct quire_outside {
	uint64_t file_kb; /* shared mappings of files */
	uint64_t shm_kb; /* of POSIX shared memory and memfds */
	uint64_t sysv_kb; /* attached System V segments */
	uint64_t device_kb;
};

/* One counter by its name in /proc/vmstat, or ours. */
struct quire_counter {
	const char *name, *unit, *meaning;
	uint64_t value;
};

/* One system call that the manager saw. */
struct quire_call {
	const char *name;
	uint64_t count, ns;
	uint64_t refused; /* answered with the errno of a kernel without it */
};

/* A process in an OOM kill: the victim, or a candidate. */
struct quire_oom_row {
	int pid, uid, oom_score_adj;
	uint64_t total_vm_pages, rss_pages, pgtables_bytes, swapents_pages;
	int64_t points;
	char comm[16];
};

struct quire_oom {
	struct quire_oom_row victim;
	unsigned int nr_rows;
	struct quire_oom_row row[32]; /* highest points first */
};

/* One NUMA node; numa_* as numastat(8) prints them. */
struct quire_node {
	unsigned int id;
	uint64_t total_kb, free_kb; /* of what is online */
	uint64_t anon_kb, file_kb; /* on its LRU lists: anonymous and shared memory; page cache */
	uint64_t numa_hit, numa_miss, numa_foreign, numa_interleave, numa_local, numa_other;
};

/* What a run did. Everything is owned by the report. */
struct quire_report {
	int status; /* as waitpid() gives it */
	double wall_s, user_s, sys_s, inside_s;
	uint64_t ram_kb; /* at the end */
	uint64_t swap_kb, free_kb;
	struct quire_usage anon, file, pagetables, kernel;
	uint64_t swap_now_kb, swap_peak_kb, swap_errors;
	int swap_errno; /* of the last failure */
	struct quire_outside outside;
	uint64_t host_mapped_kb; /* the sum of `outside` */
	uint64_t processes, killed_at_end;
	uint64_t agent_trips, agent_commands;
	uint64_t actions_done, actions_failed; /* orders, scheduled or over the socket */
	unsigned int nr_nodes;
	struct quire_node *node;
	unsigned int nr_counters;
	struct quire_counter *counter;
	unsigned int nr_calls;
	struct quire_call *call;
	unsigned int nr_oom;
	struct quire_oom *oom;
};

/*
 * Runs the program to its end. Returns 0 with the report filled, whatever the program did; on an
 * error of our own it writes a message to stderr and returns the exit status for it: 125, 126 (the
 * program cannot be executed) or 127 (not found). Whatever still runs on the machine when the
 * first process ends is killed.
 */
int quire_run(const struct quire_run_config *config, struct quire_report *report);

/* The value of a counter or of a number of the report by its JSON name; false if there is none. */
bool quire_report_value(const struct quire_report *report, const char *name, uint64_t *value);

/* Is there a counter or number of that name? */
bool quire_report_knows(const char *name);

void quire_report_free(struct quire_report *report);

#endif
