/*
 * oom.c - nothing can be reclaimed: one process must go.
 *
 * How     Points are pages: resident, swapped and page tables, plus oom_score_adj thousandths of
 *         RAM and swap. The most points die; -1000 is never chosen. The victim's memory is reaped
 *         at once, before its threads have noticed. The kill is kept with the table of candidates.
 * Locks   The machine's.
 * Why     Linux: oom_badness(), select_bad_process(), dump_tasks(), the OOM reaper.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/check.h"
#include "base/format.h"
#include "reclaim/reclaim.h"
#include "space/mm.h"
#include "space/unmap.h"
#include "space/vma.h"
#include "store/state.h"

static u64 total_pages(const struct machine *m)
{
	return m->phys.total_pages + swap_total(&m->swap);
}

s64 oom_badness(const struct machine *m, const struct mm *mm)
{
	s64 points = (s64)(mm_rss(mm) + mm->counter[MM_SWAPENTS] + mm->table.nr_pages);

	return points + mm->oom_score_adj * ((s64)total_pages(m) / 1000);
}

static void fill_row(struct machine *m, struct oom_row *row, const struct mm *mm)
{
	*row = (struct oom_row){ .pid = mm->pid,
				 .uid = mm->uid,
				 .total_vm = mm->total_vm,
				 .rss = mm_rss(mm),
				 .pgtables_bytes = mm->table.nr_pages * PAGE_SIZE,
				 .swapents = mm->counter[MM_SWAPENTS],
				 .oom_score_adj = mm->oom_score_adj,
				 .points = oom_badness(m, mm) };
	memcpy(row->comm, mm->comm, sizeof(row->comm));
}

/* Nothing can be taken from a child just forked: it is its parent's memory, and stays so. */
static bool can_reap(const struct machine *m, struct mm *mm)
{
	return m->mmu->can_replace(mm);
}

static struct mm *select_victim(struct machine *m)
{
	struct mm *mm, *worst = NULL;
	s64 most = 0;

	list_for_each_entry(mm, &m->mms, struct mm, all) {
		if (m->ops->refresh)
			m->ops->refresh(mm);
		if (mm->oom_victim || mm->oom_score_adj == -1000 || !mm->map_count ||
		    !can_reap(m, mm))
			continue;
		if (!worst || oom_badness(m, mm) > most) {
			worst = mm;
			most = oom_badness(m, mm);
		}
	}
	if (m->knobs.oom_kill_allocating_task && m->faulting && !m->faulting->oom_victim)
		return m->faulting;
	return worst;
}

static void log_line(struct machine *m, const char *line)
{
	if (m->ops->log)
		m->ops->log(m, line);
}

static void log_row(struct machine *m, const struct oom_row *r)
{
	char line[160];

	format(line, sizeof(line), "[%7d] %5d %7d %8llu %8llu %8llu %8llu %6d %s", r->pid, r->uid,
	       r->pid, (unsigned long long)r->total_vm, (unsigned long long)r->rss,
	       (unsigned long long)r->pgtables_bytes, (unsigned long long)r->swapents,
	       r->oom_score_adj, r->comm);
	log_line(m, line);
}

/* Keeps the candidates, highest points first. */
static void record(struct machine *m, struct oom_kill *kill)
{
	struct mm *mm;
	unsigned int i;

	kill->nr_rows = 0;
	list_for_each_entry(mm, &m->mms, struct mm, all) {
		struct oom_row row;

		if (!mm->map_count)
			continue;
		fill_row(m, &row, mm);
		for (i = kill->nr_rows; i > 0 && kill->rows[i - 1].points < row.points; i--)
			if (i < OOM_ROWS)
				kill->rows[i] = kill->rows[i - 1];
		if (i < OOM_ROWS)
			kill->rows[i] = row;
		if (kill->nr_rows < OOM_ROWS)
			kill->nr_rows++;
	}
}

/* What the frames are at this moment. Linux: show_mem(). */
static void log_memory(struct machine *m)
{
	const u64 *v = m->phys.stat.v;
	char line[200];

	phys_stat_sync(&m->phys);
	format(line, sizeof(line),
	       "active_anon:%llu inactive_anon:%llu active_file:%llu inactive_file:%llu "
	       "unevictable:%llu free:%llu swap_free:%llu",
	       (unsigned long long)v[NR_ACTIVE_ANON], (unsigned long long)v[NR_INACTIVE_ANON],
	       (unsigned long long)v[NR_ACTIVE_FILE], (unsigned long long)v[NR_INACTIVE_FILE],
	       (unsigned long long)v[NR_UNEVICTABLE], (unsigned long long)v[NR_FREE_PAGES],
	       (unsigned long long)swap_free_slots(&m->swap));
	log_line(m, line);
}

static void report(struct machine *m, const struct oom_kill *kill)
{
	const struct oom_row *v = &kill->victim;
	char line[200];
	unsigned int i;

	format(line, sizeof(line), "oom-kill: order=%u, %llu pages RAM and swap in all",
	       kill->order, (unsigned long long)kill->total_pages);
	log_line(m, line);
	log_memory(m);
	log_line(m, "[  pid  ]   uid    tgid total_vm      rss pgtables_bytes swapents "
		    "oom_score_adj name");
	for (i = 0; i < kill->nr_rows; i++)
		log_row(m, &kill->rows[i]);
	format(line, sizeof(line),
	       "Out of memory: Killed process %d (%s) total-vm:%llukB, rss:%llukB, pgtables:%llukB "
	       "oom_score_adj:%d",
	       v->pid, v->comm, (unsigned long long)v->total_vm * 4, (unsigned long long)v->rss * 4,
	       (unsigned long long)v->pgtables_bytes / 1024, v->oom_score_adj);
	log_line(m, line);
}

/* The victim never runs again: its private pages are free from now on. Linux: the OOM reaper. */
void oom_reap(struct mm *mm)
{
	struct vma *vma;

	if (!can_reap(mm->machine, mm))
		return; /* when it ends, then */
	for (vma = vma_first(mm); vma; vma = vma_next(vma))
		if (!(vma->flags & VM_SHARED))
			unmap_pages(mm, vma->start, vma->end);
}

/* A victim that is still there has memory to give: no second one before that is free. */
static bool reap_earlier(struct machine *m)
{
	struct mm *mm;

	list_for_each_entry(mm, &m->mms, struct mm, all)
		if (mm->oom_victim && mm != m->faulting && mm_rss(mm)) {
			u64 before = mm_rss(mm);

			oom_reap(mm);
			if (mm_rss(mm) < before)
				return true;
		}
	return false;
}

bool oom_kill(struct machine *m, unsigned int order)
{
	struct mm *victim;
	struct oom_kill *kill = &m->oom[min_u64(m->nr_oom, OOM_KILLS - 1)];

	if (reap_earlier(m))
		return true;
	if (m->faulting && m->faulting->oom_victim)
		return false; /* it is dying: its fault fails, and its memory goes with it */
	victim = select_victim(m);
	if (!victim)
		return false;
	kill->order = order;
	kill->total_pages = total_pages(m);
	fill_row(m, &kill->victim, victim);
	record(m, kill);
	report(m, kill);
	victim->oom_victim = true;
	m->nr_oom++;
	stat_inc(&m->phys.stat, OOM_KILL);
	if (m->ops->kill)
		m->ops->kill(victim, "oom-kill");
	if (victim == m->faulting)
		return false; /* its own fault ends with FAULT_OOM; its memory goes with it */
	oom_reap(victim);
	return true;
}
