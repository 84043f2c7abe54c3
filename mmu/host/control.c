/*
 * control.c - a running machine is given orders: memory comes and goes, is compacted, is shown.
 *
 * How     One line of words is one order. The schedule of the config gives them at their times; the
 *         socket takes one from each connection and answers it. An answer's last line is "ok" or
 *         "error: why". Orders wait while a child is being forked, because its pages cannot move.
 * Why     Linux: /sys/devices/system/memory, /proc/sys/vm/compact_memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mmu/host/control.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "kmem/slab.h"
#include "mmu/host/host.h"
#include "phys/compact.h"
#include "phys/contig.h"
#include "plat/size.h"

#define LINE_MAX_BYTES 256
#define SEPARATORS     " :=,\t\n"
#define WORDS_MAX      8

void answer_add(struct answer *a, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(a->text + a->len, a->size - a->len, fmt, args);
	va_end(args);
	if (n > 0)
		a->len = (size_t)min_u64(a->len + (u64)n, a->size - 1);
}

/* One order, cut into words. */
struct order {
	struct host *host;
	struct answer *answer;
	unsigned int nr; /* words after the first */
	char *word[WORDS_MAX];
	u64 start, end; /* of the range, where the order has one */
};

static pfn_t first_frame(const struct order *o)
{
	return o->start >> PAGE_SHIFT;
}

static u64 nr_frames(const struct order *o)
{
	return (o->end - o->start) >> PAGE_SHIFT;
}

static int on_add(struct order *o)
{
	unsigned long nid = 0;
	char *end = NULL;
	int err;

	if (o->nr > 1)
		nid = strtoul(o->word[2], &end, 10);
	if (nid >= o->host->machine.phys.nr_nodes || (end && *end))
		return -EINVAL;
	err = memory_plug(o->host, o->start, o->end, (unsigned int)nid);
	if (err == -EINVAL && o->host->machine.phys.model == MEMORY_DISCONTIG)
		answer_add(o->answer, "a node's map cannot grow: only its holes, or a node without "
				      "memory, can be filled\n");
	return err;
}

static int on_online(struct order *o)
{
	enum online_type type = strcmp(o->word[0], "online") ? ONLINE_MOVABLE : ONLINE_KERNEL;

	return machine_online(&o->host->machine, first_frame(o), nr_frames(o), type);
}

/* What a page that cannot move is used for. */
static const char *use_of(const struct page *page)
{
	return page_test(page, PG_reserved) ? "the machine's own tables"
	       : page_test(page, PG_table)  ? "a page table"
	       : page_test(page, PG_slab)   ? "kernel objects"
	       : page_test(page, PG_pinned) ? "pinned"
					    : "the kernel's";
}

/* Why a range could not be emptied. */
static void explain(struct order *o)
{
	struct phys *phys = &o->host->machine.phys;
	pfn_t pfn = machine_unmovable(&o->host->machine, first_frame(o), nr_frames(o));

	if (pfn == PFN_NONE)
		answer_add(o->answer, "pages are in use, or have nowhere to go\n");
	else
		answer_add(o->answer, "frame 0x%llx cannot move: %s\n", (unsigned long long)pfn,
			   use_of(pfn_to_page(phys, pfn)));
}

static int on_offline(struct order *o)
{
	int err = machine_offline(&o->host->machine, first_frame(o), nr_frames(o));

	if (err == -EBUSY)
		explain(o);
	return err;
}

static int on_remove(struct order *o)
{
	return memory_unplug(o->host, o->start, o->end);
}

/* Proves that the range can be had in one piece, and gives it back. */
static int on_contig(struct order *o)
{
	struct phys *phys = &o->host->machine.phys;
	int err = alloc_contig_range(phys, first_frame(o), first_frame(o) + nr_frames(o));

	if (err == -EBUSY)
		explain(o);
	if (!err)
		free_contig_range(phys, first_frame(o), nr_frames(o));
	return err;
}

/* Takes so much out of the CMA area, by moving what borrows it, and keeps it. */
static int on_cma_alloc(struct order *o)
{
	struct cma *cma = &o->host->cma;
	struct page *page;
	u64 bytes, start;

	if (!cma->nr_pages)
		return -ENODEV;
	if (!size_parse(o->word[1], &bytes) || !bytes)
		return -EINVAL;
	bytes = align_up(bytes, PAGE_SIZE);
	page = cma_alloc(cma, bytes >> PAGE_SHIFT, 0);
	if (!page)
		return -ENOMEM;
	start = page_to_pfn(cma->phys, page) << PAGE_SHIFT;
	answer_add(o->answer, "%lluK-%lluK\n", (unsigned long long)start / 1024,
		   (unsigned long long)(start + bytes) / 1024);
	return 0;
}

static int on_cma_release(struct order *o)
{
	struct cma *cma = &o->host->cma;
	pfn_t pfn = first_frame(o);

	if (!cma->nr_pages)
		return -ENODEV;
	return pfn_valid(cma->phys, pfn) &&
			       cma_release(cma, pfn_to_page(cma->phys, pfn), nr_frames(o))
		       ? 0
		       : -EINVAL;
}

static int on_owners(struct order *o)
{
	memory_show_owners(o->host, o->answer);
	return 0;
}

static int on_compact(struct order *o)
{
	compact_all(&o->host->machine.phys);
	return 0;
}

static int on_shrink(struct order *o)
{
	answer_add(o->answer, "%llu pages\n",
		   (unsigned long long)kmem_reap(&o->host->machine.phys));
	return 0;
}

static int on_set(struct order *o)
{
	u64 value[WORDS_MAX];
	unsigned int i;
	char *end;

	for (i = 0; i + 1 < o->nr; i++) {
		value[i] = strtoull(o->word[2 + i], &end, 10);
		if (!isdigit((unsigned char)*o->word[2 + i]) || *end)
			return -EINVAL;
	}
	return machine_set_knob(&o->host->machine, o->word[1], value, i);
}

/* Panics where the machine's conservation laws do not hold. */
static int on_check(struct order *o)
{
	machine_check(&o->host->machine);
	return 0;
}

static int on_memory(struct order *o)
{
	memory_show_blocks(o->host, o->answer);
	return 0;
}

static int on_nodes(struct order *o)
{
	memory_show_nodes(o->host, o->answer);
	return 0;
}

static int on_zoneinfo(struct order *o)
{
	memory_show_zones(o->host, o->answer);
	return 0;
}

static int on_buddyinfo(struct order *o)
{
	memory_show_buddy(o->host, o->answer);
	return 0;
}

enum takes { NOTHING, RANGE, KNOB, WORD };

static const struct {
	const char *name;
	enum takes takes;
	unsigned int least, most; /* words after the first */
	int (*execute)(struct order *o);
} orders[] = {
	{ "add", RANGE, 1, 2, on_add },
	{ "online", RANGE, 1, 1, on_online },
	{ "online_movable", RANGE, 1, 1, on_online },
	{ "offline", RANGE, 1, 1, on_offline },
	{ "remove", RANGE, 1, 1, on_remove },
	{ "contig", RANGE, 1, 1, on_contig },
	{ "cma_alloc", WORD, 1, 1, on_cma_alloc },
	{ "cma_release", RANGE, 1, 1, on_cma_release },
	{ "owners", NOTHING, 0, 0, on_owners },
	{ "compact", NOTHING, 0, 0, on_compact },
	{ "shrink", NOTHING, 0, 0, on_shrink },
	{ "check", NOTHING, 0, 0, on_check },
	{ "set", KNOB, 2, 6, on_set },
	{ "memory", NOTHING, 0, 0, on_memory },
	{ "nodes", NOTHING, 0, 0, on_nodes },
	{ "zoneinfo", NOTHING, 0, 0, on_zoneinfo },
	{ "buddyinfo", NOTHING, 0, 0, on_buddyinfo },
};

int control_execute(struct host *h, const char *line, struct answer *a)
{
	struct order o = { .host = h, .answer = a };
	char copy[LINE_MAX_BYTES], *save = NULL, *word;
	unsigned int i, nr = 0;

	if (strlen(line) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, line);
	for (word = strtok_r(copy, SEPARATORS, &save); word;
	     word = strtok_r(NULL, SEPARATORS, &save)) {
		if (nr == WORDS_MAX)
			return -EINVAL;
		o.word[nr++] = word;
	}
	for (i = 0; nr && i < array_size(orders); i++) {
		if (strcmp(o.word[0], orders[i].name))
			continue;
		o.nr = nr - 1;
		if (o.nr < orders[i].least || o.nr > orders[i].most)
			return -EINVAL;
		if (orders[i].takes == RANGE && (!size_parse_range(o.word[1], &o.start, &o.end) ||
						 (o.start | o.end) & ~PAGE_MASK))
			return -EINVAL;
		return orders[i].execute(&o);
	}
	answer_add(a, "orders are:");
	for (i = 0; i < array_size(orders); i++)
		answer_add(a, " %s", orders[i].name);
	answer_add(a, "\n");
	return -EOPNOTSUPP;
}

/* --- the schedule --- */

static void perform(struct host *h, const struct quire_action *action)
{
	char text[16384];
	struct answer a = { .text = text, .size = sizeof(text) };
	int err;

	text[0] = '\0';
	space_settle(h);
	err = control_execute(h, action->command, &a);
	h->actions_done += !err;
	h->actions_failed += err != 0;
	if (err)
		host_log(h, "at %.3f s: %s: %s%s%.*s", (double)action->at_ms / 1e3, action->command,
			 strerror(-err), a.len ? ": " : "", (int)(a.len ? a.len - 1 : 0), text);
	else if (a.len)
		host_log(h, "at %.3f s: %s\n%.*s", (double)action->at_ms / 1e3, action->command,
			 (int)a.len - 1, text);
}

int control_tick(struct host *h, int most)
{
	const struct quire_run_config *c = h->config;
	u64 now;

	while (h->next_action < c->nr_actions && !h->newborn) {
		const struct quire_action *next = &c->action[h->next_action];

		now = (now_ns() - h->start_ns) / 1000000;
		if (next->at_ms > now)
			return (int)min_u64((u64)most, next->at_ms - now);
		h->next_action++;
		perform(h, next);
	}
	return most;
}

/* --- the socket --- */

void control_open(struct host *h)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = CONTROL_EVENT };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const char *path = h->config->control_path;
	mode_t mask;

	h->control_fd = -1;
	if (!path)
		return;
	if (strlen(path) >= sizeof(at.sun_path))
		host_fail("--control %s: the path is longer than %zu bytes", path,
			  sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	h->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0077);
	if (h->control_fd < 0 || bind(h->control_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(h->control_fd, 8) < 0)
		host_fail("--control %s: %s", path, strerror(errno));
	umask(mask);
	epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->control_fd, &ev);
}

void control_close(struct host *h)
{
	if (h->control_fd >= 0)
		close(h->control_fd);
}

/* Reads one line; a client that takes its time for the rest of it is not waited for. */
static bool read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n = recv(fd, line + len, size - 1 - len, 0);

		if (n <= 0)
			return false;
		len += (size_t)n;
		line[len] = '\0';
		if (strchr(line, '\n')) {
			*strchr(line, '\n') = '\0';
			return true;
		}
	}
	return false;
}

static void serve(struct host *h, int fd)
{
	char line[LINE_MAX_BYTES], text[65536];
	struct answer a = { .text = text, .size = sizeof(text) };
	int err;

	if (!read_line(fd, line, sizeof(line)))
		return;
	err = control_execute(h, line, &a);
	h->actions_done += !err;
	h->actions_failed += err != 0;
	if (err)
		answer_add(&a, "error: %s\n", strerror(-err));
	else
		answer_add(&a, "ok\n");
	(void)!send(fd, text, a.len, MSG_NOSIGNAL);
}

/* Its order may come later: the client may have to wait for a CPU. */
static void accept_client(struct host *h)
{
	struct timeval patience = { 0, 100000 };
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept4(h->control_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	ev.data.u64 = (u64)fd << CONTROL_SHIFT | CONTROL_EVENT;
	if (epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		close(fd);
}

void control_event(struct host *h, u64 tag)
{
	int client = (int)(tag >> CONTROL_SHIFT);

	if (!client) {
		accept_client(h);
	} else if (!h->newborn) {
		serve(h, client);
		close(client);
	}
}
