/*
 * host.h - the back end on a Linux host: programs run natively, their memory is a machine's.
 *
 * How     struct host is one machine and the programs on it; struct space is what the host maps for
 *         one mm; struct proc is one process. One thread, the manager, handles every event.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_HOST_HOST_H
#define QUIRE_HOST_HOST_H

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "machine.h"
#include "mmu/host/comm.h"
#include "phys/contig.h"
#include "quire/run.h"
#include "space/mm.h"
#include "space/vma.h"

struct flat;

#define PROC_HASH    1024
#define DEFAULTS_MAX 64
#define FUTEX_WORDS  32
#define PINNED_MAX   1024
#define CALL_STATS   512
#define LOANS_MAX    64
#define MOVED_MAX    64

struct host;

/*
 * Addresses that are backed by the private, registered nothing, as far as no leaf says
 * otherwise.
 */
struct default_range {
	vaddr_t start, end;
};

/* A fault that cannot be answered yet. */
struct held_fault {
	vaddr_t addr;
	u64 flags;
};

/* What a process has asked for, and the host does not apply: limits.c. */
struct limits {
	struct rlimit as, data;
};

/* What the host maps for one address space. */
struct space {
	struct host *host; /* (C) */
	struct mm *mm; /* (C) */
	int uffd; /* -1 before it is known */
	unsigned int cpu; /* of the machine: where its process runs */
	int slot; /* of the comm block; -1 without agent */
	struct comm *comm; /* NULL without agent */
	void *root; /* shadow of what is mapped, four levels; leaves are struct leaf */
	struct default_range def[DEFAULTS_MAX];
	unsigned int nr_def;
	unsigned int posted; /* commands not yet handed to the agent */
	bool careful; /* these make windows and translations: none after one that fails */
	unsigned int mappings; /* of the host: an upper bound */
	vaddr_t room_next; /* where windows are given back next */
	bool in_flight; /* the agent was given commands, and has not been waited for */
	unsigned int staged; /* mremap() calls among them whose event was not read yet */
	bool lent; /* a process that is no vfork child may share the address space */
	unsigned int users; /* processes */
	bool quiet; /* being set up: nothing is installed */
	vaddr_t fault_addr; /* of the fault being answered */
	bool absent; /* the host does not translate it, as its message says */
	bool replaced; /* what was posted puts other frames where the host has translations */
	bool woken; /* its thread was woken already */
	bool gone; /* the address space ended on the host */
	vaddr_t futex[FUTEX_WORDS]; /* words that somebody may wait on by frame */
	unsigned int nr_futex;
	vaddr_t pinned[PINNED_MAX]; /* pages that the host kernel writes when a thread ends */
	unsigned int nr_pinned;
	vaddr_t loan[LOANS_MAX]; /* pages that it has as the host's: lend.c */
	unsigned int nr_loans, refusals;
	vaddr_t moved[MOVED_MAX]; /* whose frames a newborn child kept: windows lag behind */
	unsigned int nr_moved;
	struct list_head all; /* on host->spaces */
	u64 forked_ns; /* when it was made by fork, for a child not seen yet */
	struct proc *parent; /* whose fork made it, until its process is known */
	struct space *forked_from; /* while the host's fork is under way */
	pid_t forker; /* the thread that forks */
	pid_t agent; /* as the manager knows it; 0 before it does */
	struct limits limits; /* of the process that was forked */
	struct held_fault *held; /* faults that wait for a fork of this space */
	unsigned int nr_held, max_held;
	bool starved; /* one of them found no room */
};

enum takeover { TAKEOVER_NONE, TAKEOVER_STUB, TAKEOVER_GATE };

/* One process on the machine. */
struct proc {
	struct host *host;
	pid_t pid;
	int pidfd;
	struct space *space; /* NULL until its image was taken over */
	pid_t exec_pending; /* who called execve last: the image may be another one by now */
	bool limits_stale;
	struct limits limits;
	bool own_affinity; /* it chose its CPUs itself */
	enum takeover takeover;
	struct space *incoming; /* being set up for it */
	u64 stub_pc;
	u8 stub_saved[128];
	unsigned int stub_len;
	int stub_mem; /* the stub's memory, until it is undone; or -1 */
	struct list_head hash;
	struct list_head tids;
};

/* A thread id and its process. */
struct tid {
	pid_t tid;
	struct proc *proc;
	struct list_head hash;
	struct list_head proc_link;
};

/* Cost of one intercepted system call. */
struct call_stat {
	u64 count, ns;
	u64 refused;
};

/* One notification kept for later. */
struct deferred {
	u64 id;
	pid_t pid;
	int nr;
	u64 arg[6];
	u64 ip;
};

#define DYING_MAX 256

/* A page that a debugger is about to look at. */
struct peeked {
	struct page *page; /* with a reference: it is neither evicted nor moved */
	pid_t looker;
};

#define PEEKED_MAX 256

/* What is mapped by the host, outside the machine's RAM. */
enum outside { OUTSIDE_FILE, OUTSIDE_SHM, OUTSIDE_SYSV, OUTSIDE_DEVICE, NR_OUTSIDE };

/* What pages are used for, as the report tells it. */
enum use { USE_ANON, USE_FILE, USE_TABLE, USE_KERNEL, NR_USE };

/* One machine and what runs on it. */
struct host {
	struct machine machine;
	int ram_fd, code_fd;
	int uffd_dev; /* /dev/userfaultfd, or -1 where the host has none */
	u8 *ram;
	u64 ram_bytes; /* length of the RAM file */
	unsigned int max_mappings; /* of a process, less a margin */
	u64 ram_max_bytes; /* that it may reach */
	u8 *comm_base;
	u8 slot_used[COMM_SLOTS];
	u64 slot_rests_ns[COMM_SLOTS]; /* not to be used again before, if it can be helped */
	int notify_fd, epoll_fd, signal_fd;
	pid_t manager, first_pid;
	int first_status; /* wait status of the first process, when `first_ended` */
	bool first_ended, done;
	bool verbose;
	struct list_head spaces;
	struct list_head proc_hash[PROC_HASH], tid_hash[PROC_HASH];
	unsigned int nr_procs;
	struct space *served; /* whose thread waits for what is being done now */
	struct space *forked; /* parent of a fork that is done on the host and not settled yet */
	struct space *newborn; /* child of a fork that has no process and no agent yet */
	struct space *replacing; /* its agent is still putting other frames in place of old ones */
	bool traced; /* somebody has begun to trace */
	bool turn_due; /* with a seed: background work has not had its turn at these events */
	u64 turns; /* with a seed: the clock */
	struct deferred *later; /* calls that wait for a fork */
	unsigned int nr_later, max_later;
	struct peeked peeked[PEEKED_MAX]; /* the oldest first */
	unsigned int nr_peeked;
	struct call_stat call[CALL_STATS];
	u64 busy_ns, nr_faults, nr_notifications, agent_trips, agent_commands;
	u64 outside[NR_OUTSIDE]; /* bytes of host mappings made, not managed */
	u64 procs_seen;
	pid_t dying[DYING_MAX]; /* agents that were killed and not seen to be dead */
	unsigned int nr_dying;
	unsigned int nr_tids; /* threads met and not known to be gone */
	cpu_set_t all_cpus, one_cpu;
	int mask_bytes; /* of sched_getaffinity() */
	bool gathered; /* the programs share the manager's CPU */
	u64 herd_ns, herd_events;
	u64 gather_above; /* events a second; 0: not known yet */
	u64 samples;
	u64 sum[NR_USE], peak[NR_USE], now[NR_USE]; /* pages */
	u64 next_sample_ns, next_progress_ns, start_ns;
	const struct quire_run_config *config;
	pid_t supervisor;
	struct limits limits; /* that Quire was started with */
	int control_fd; /* -1: none */
	unsigned int cpu; /* of the machine, on which what is being answered runs */
	unsigned int forks; /* so far: children are dealt out to the CPUs in turn */
	unsigned int next_action; /* of the config */
	u64 actions_done, actions_failed;
	struct flat *report; /* of report.c */
	struct cma cma; /* without pages: none */
	void (*on_sample)(struct host *h);
};

/* space.c: the shadow and the back end's operations. */
extern const struct mmu_ops host_mmu_ops;
struct space *space_create(struct host *h, struct mm *mm);
struct space *space_fork(struct space *parent, struct mm *child);
void space_destroy(struct space *s);
static inline struct space *space_of(const struct mm *mm)
{
	return mm->backend;
}
/*
 * Waits until no program can see a frame any more that was replaced at its address. To be called
 * before anything else happens to any frame.
 */
void space_settle(struct host *h);
/* Makes the access at addr fault natively: SIGSEGV or SIGBUS to whoever makes it. */
enum bad_access { BAD_MAPERR, BAD_ACCERR, BAD_BUS };
void space_bad_access(struct space *s, vaddr_t addr, enum bad_access kind);
/* The host has its own mapping in [start, end) now, or nothing. */
void space_forget_range(struct space *s, vaddr_t start, vaddr_t end);
void space_set_default(struct space *s, vaddr_t start, vaddr_t end);
void space_wake(struct space *s, vaddr_t addr);
/* A run of pages, with contiguous frames where frames are meant. */
struct run {
	vaddr_t start, end;
	pfn_t pfn;
};

/* restorer.c: intercepted calls that a signal interrupted are made again. */
/* What the filter refuses, so that the restorer goes on: where its first call returns to. */
#define RESTORER_FIRST_CALL (AGENT_RESTORER + 9)
void restorer_write(int code_fd);
/* act: the struct sigaction that the kernel is about to read. */
void restorer_use(struct mm *mm, vaddr_t act);

/* lend.c: a forked child that has no agent yet. */
/* The page of the fault in [start, end), or the first, as a copy of its own; false: cannot be. */
bool lend(struct space *s, const struct vma *vma, vaddr_t start, vaddr_t end);
/* Its agent is there: the copies go, and what was written to them is the machine's. */
int lend_settle(struct space *s);
/* A page of the parent's got another frame because such a child could not. */
void lend_note_moved(struct space *s, vaddr_t addr);
/* Before the next fork: the windows of these are made, so that the next child has them. */
void lend_catch_up(struct space *s);
/* A bad access of such a child: SIGSEGV or SIGBUS, as a signal only. */
void lend_refuse(struct space *s, int number);

/* stage.c */
struct mapping_call {
	vaddr_t start, end;
	int prot, flags; /* MAP_FIXED and MAP_NORESERVE are implied */
	int fd;
	u64 offset, modes; /* of the registration */
};
enum staging { IN_PLACE, STAGED };
/* STAGED where another thread may look at the space's memory before we are done. */
enum staging staging_now(struct space *s);
/* For a window: STAGED only where it would matter, too. */
enum staging staging_of(struct space *s, const struct vma *vma, const struct run *run);
/* Posts what makes a mapping and registers it; STAGED: no thread sees the one without the other. */
void post_mapping(struct space *s, const struct mapping_call *c, enum staging how);

/* Posts backdrop for [start, end). */
void space_post_backdrop(struct space *s, vaddr_t start, vaddr_t end, enum staging how);
/* Backdrop over [start, end), and the shadow says so. */
int space_reset(struct space *s, vaddr_t start, vaddr_t end, enum staging how);
/* The host's protection for an area: VM_READ and so on are PROT_READ and so on. */
int space_prot(const struct vma *vma);
/* All that is present is translated; for a new image. */
int space_install_all(struct space *s);

/* area.c: the back end's answers to changes of areas, see struct mmu_ops. */
bool area_restrict(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end);
int area_changed(struct mm *mm, const struct vma *vma, vaddr_t start, vaddr_t end);
void area_removed(struct mm *mm, vaddr_t start, vaddr_t end);
/* futex.c: the word may be waited on; waiters in [start, end) must come again. */
void space_note_futex(struct space *s, vaddr_t addr);
void space_wake_futexes(struct space *s, vaddr_t start, vaddr_t end);
bool space_alive(struct space *s);

/* agent.h's other half, trip.c */
struct comm_command *agent_post(struct space *s, s64 nr, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
/* Hands posted commands over and waits. 0, or the first error. */
int agent_run(struct space *s);
/* Hands the posted commands over and does not wait; if one fails, `fault` faults again. */
void agent_go(struct space *s, vaddr_t fault);
/* Waits for what agent_go() handed over; an error if windows could not be made. */
int agent_sync(struct space *s);
/* Posts an ioctl of the userfaultfd: a range, and a mode. */
void agent_post_uffd(struct space *s, u64 request, u64 start, u64 len, u64 mode);
/* space.c: a command of agent_go() failed, or was not tried: the shadow is put right. The error. */
s64 space_command_failed(struct space *s, const struct comm_command *k);
/* A child of the manager's has ended: if it was an agent, its program must end too. */
void agent_died(struct host *h, pid_t pid);
/* The space has no use for its agent any more, nor for one that is being made. */
void agent_end(struct space *s);

/* fork.c: a fork is about to be made; the core's is done, and the child is newborn. 0 or -errno. */
int fork_begin(struct proc *p, const struct deferred *n);

/* enter.c */
/* True where the notification was about becoming ours, and is answered. */
bool enter_process(struct proc *p, const struct deferred *n);

/* takeover.c */
/* Diverts the thread into the agent's code; answers the notification. 0 or -errno. */
int takeover_begin(struct proc *p, const struct deferred *n, struct space *incoming);
/* The diverted thread has reached the gate. */
void takeover_finish(struct proc *p, u64 id);
/* Gives a comm block back; entered: its agent was met, and has been killed. */
void takeover_slot_free(struct host *h, int slot, bool entered);
/* image.c: the memory of the process's new image becomes `s`. */
int image_adopt(struct proc *p, struct space *s);

/* proc.c */
struct proc *proc_of(struct host *h, pid_t tid);
struct proc *proc_find(struct host *h, pid_t pid);
void proc_exit(struct proc *p);
/* Processes that have not ended, whether the end of the others was handled yet or not. */
unsigned int proc_count_alive(struct host *h);
void proc_drop_space(struct proc *p);
/* The agents of processes that have ended give back what the host has mapped for them. */
void proc_release_dead(struct host *h);
bool proc_same_vm(pid_t a, pid_t b);
int proc_status(pid_t tid, pid_t *tgid, pid_t *ppid, pid_t *tracer);
/* The stack pointer of a thread in a system call, or 0. */
vaddr_t proc_stack_pointer(pid_t tid);
/* The memory's owner: its name and id. */
void proc_name(const struct proc *p, struct mm *mm);
/* The stub is undone, or the process has ended. */
void proc_end_stub(struct proc *p);
void proc_refresh(struct mm *mm);
void proc_kill(struct mm *mm, const char *why);

/* calls.c */
void calls_handle(struct host *h, const struct deferred *n);
void reply_value(struct host *h, u64 id, s64 value);
void reply_continue(struct host *h, u64 id);
const char *call_name(int nr);

/* room.c */
/* How many mappings a process may have on this host, less a margin. */
unsigned int room_limit(void);
/* If the space may be near the limit, windows are given back. */
void room_make(struct space *s);

/* limits.c */
/* The manager, and all that it starts, have no limits; h->limits has what they were. */
void limits_lift(struct host *h);
/* The process's limits become its mm's. */
void limits_read(struct proc *p);

/* peek.c */
#define MEM_OFFSET_MIN (1ull << 40) /* from here on a pread() is one of /proc/PID/mem */
/* The image of a process that is traced stays present, if it lies below that. */
void peek_new_image(struct proc *p);
/*
 * What the call wants to see of another process's memory is made present, as far as possible, and
 * stays until its thread is seen again.
 */
void peek_prepare(struct host *h, struct proc *caller, const struct deferred *n);
/* This thread (0: no thread) looks at nothing any more. */
void peek_end(struct host *h, pid_t looker);

/* herd.c */
void herd_start(struct host *h);
void herd_agent(struct host *h, pid_t agent);
void herd_tick(struct host *h, u64 now);

/* filter.c */
/* In the program: installs the filter, returns the listener's descriptor or -errno. */
int filter_install(void);

/* events.c */
/* Answers all faults that this space's threads have reported so far. */
void events_drain(struct space *s);
/*
 * Reads what the space's host has to say, and only takes notes: for use while a fault is
 * handled. False: it said nothing for a while.
 */
bool events_take_notes(struct space *s);
/* The host's fork has failed: the child that was prepared is undone. */
void events_fork_failed(struct host *h);
/* Between the core's fork of this space and the host's. */
static inline bool space_is_forking(const struct space *s)
{
	return s->host->newborn && s->host->newborn->forked_from == s;
}
void host_add_uffd(struct space *s);
/* The call is handled again before long, if it is still waited for. */
void events_call_later(struct host *h, const struct deferred *n);
int host_loop(struct host *h);

/* ram.c: all of these end the program with a message where the host refuses. */
/* A file of zeroes: in ordinary pages; for RAM in huge pages where the host has them. */
int memory_file(const char *name, u64 bytes);
int ram_file(u64 bytes);
/* The file in the manager's own address space; RAM so that huge pages stay whole. */
void *memory_map(int fd, u64 bytes, u64 offset);
void *ram_map(int fd, u64 bytes);

/* start.c */
/* Boots the machine of the config; exits with a message and 125 where that cannot be done. */
struct host *host_create(const struct quire_run_config *config);
/* Runs the program to its end. 0, or the exit status for a program that could not be started. */
int host_start(struct host *h, char **argv);
/* Blocks the signals that the manager reads from a descriptor, and says which. */
void host_block_signals(sigset_t *set);
void host_destroy(struct host *h);
void host_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void host_log(struct host *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
u64 now_ns(void);

#endif
