/*
 * picture.c - the heap by pages as an SVG: one square a page, a row per MiB (256 pages).
 *
 * How     The slab zone first, then the page runs. A slab's page is blue, the fuller the darker;
 *         a page of a slab without a live block is orange: free memory that a neighbour pins.
 *         Runs are green; free and resident grey; free and returned white. Neighbours of one
 *         colour become one rectangle. Below, a bar per block size: what is asked for, what is
 *         slack inside blocks (internal fragmentation), what is free between them (external).
 *
 * SPDX-License-Identifier: MIT
 */
#include "classes.h"
#include "slab.h"
#include "span.h"
#include "stats.h"
#include "units.h"

#define ROW_PAGES 256
#define CELL	  4
#define ROWS_MOST 2048 /* 2 GiB of each zone are drawn */
#define HEAD	  60
#define BAR	  16 /* height of a bar with its text */
#define BAR_WIDTH 400

enum shade { RETURNED, RESIDENT, PINNED, QUARTER, HALF, THREE, FULL, RUN };

static const char *const fill[] = {
	"#ffffff", "#c8c8c8", "#f2a33c", "#c6dbef", "#8fbfe0", "#4a90c8", "#1f5fa0", "#5aa469",
};
static const char *const meaning[] = {
	"returned",
	"free, resident",
	"pinned by a neighbour",
	"slab page up to 1/4 full",
	"to 1/2",
	"to 3/4",
	"over 3/4",
	"page run",
};

static struct out o;
static struct stats now;

static unsigned free_blocks(const struct slab *s, unsigned from, unsigned to)
{
	unsigned n = 0;

	for (; from < to; from++)
		n += s->bits[from / 64] >> (from % 64) & 1;
	return n;
}

static enum shade slab_shade(const struct slab *s, unsigned page)
{
	unsigned from = class_index(s->class, page << PAGE_SHIFT);
	unsigned to = class_index(s->class, ((page + 1) << PAGE_SHIFT) - 1) + 1;
	unsigned all, used;

	if (to > class_info[s->class].per_slab)
		to = class_info[s->class].per_slab;
	if (from >= to)
		return RETURNED;
	all = to - from;
	used = all - free_blocks(s, from, to);
	if (!used)
		return s->swept ? RETURNED : PINNED;
	return QUARTER + (used - 1) * 4 / all;
}

static enum shade unit_shade(size_t page)
{
	uint32_t unit = (uint32_t)(page / UNIT_PAGES);
	struct slab *s = slab_at(unit);

	if (!unit)
		return RETURNED;
	if (s->in_use)
		return slab_shade(s, page % UNIT_PAGES);
	return s->stamp ? RESIDENT : RETURNED;
}

static void rectangle(size_t page, size_t count, unsigned top, enum shade shade)
{
	if (shade == RETURNED)
		return;
	out_print(&o, "<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%u\" fill=\"%s\"/>\n",
		  page % ROW_PAGES * CELL, top + page / ROW_PAGES * CELL, count * CELL, CELL - 1,
		  fill[shade]);
}

/* One rectangle per row that the pages from `page` on cover. */
static void rectangles(size_t page, size_t count, unsigned top, enum shade shade)
{
	while (count) {
		size_t n = ROW_PAGES - page % ROW_PAGES;

		if (n > count)
			n = count;
		rectangle(page, n, top, shade);
		page += n;
		count -= n;
	}
}

static size_t draw_units(size_t pages, unsigned top)
{
	size_t page, from = 0;

	for (page = 1; page <= pages; page++)
		if (page == pages || unit_shade(page) != unit_shade(from)) {
			rectangles(from, page - from, top, unit_shade(from));
			from = page;
		}
	return (pages + ROW_PAGES - 1) / ROW_PAGES * CELL;
}

static void draw_runs(size_t pages, unsigned top)
{
	size_t page = 0, n;

	lock_take(&spans.lock);
	while (page < pages && page < spans.top) {
		struct tag *t = tag_at(page);
		enum shade shade = t->state == SPAN_USED ? RUN : t->dirty ? RESIDENT : RETURNED;

		n = t->pages;
		rectangles(page, page + n > pages ? pages - page : n, top, shade);
		page += n;
	}
	lock_give(&spans.lock);
}

static void legend(void)
{
	out_text(&o, "<style>text{font:12px sans-serif}</style>\n");
	out_text(&o, "<text x=\"4\" y=\"16\">"
		     "Heap by pages, a row per MiB: slabs, then page runs</text>\n");
	for (unsigned i = 1; i < sizeof(fill) / sizeof(*fill); i++)
		out_print(&o,
			  "<rect x=\"%u\" y=\"26\" width=\"10\" height=\"10\" fill=\"%s\"/>"
			  "<text x=\"%u\" y=\"36\">%s</text>\n",
			  4 + (i - 1) * 150, fill[i], 18 + (i - 1) * 150, meaning[i]);
}

static void bar(const struct class_stats *cs, unsigned class, size_t y)
{
	unsigned idle = stats_idle(cs) * BAR_WIDTH / 100;
	unsigned slack = (BAR_WIDTH - idle) * stats_slack(cs, class) / 100;
	unsigned asked = BAR_WIDTH - idle - slack;

	out_print(&o, "<text x=\"4\" y=\"%zu\">%u bytes</text>\n", y + 12, class_info[class].bytes);
	out_print(&o,
		  "<rect x=\"90\" y=\"%zu\" width=\"%u\" height=\"12\" fill=\"%s\"/>"
		  "<rect x=\"%u\" y=\"%zu\" width=\"%u\" height=\"12\" fill=\"%s\"/>"
		  "<rect x=\"%u\" y=\"%zu\" width=\"%u\" height=\"12\" fill=\"%s\"/>\n",
		  y, asked, fill[FULL], 90 + asked, y, slack, fill[PINNED], 90 + asked + slack, y,
		  idle, fill[RESIDENT]);
	out_print(&o, "<text x=\"%u\" y=\"%zu\">%zu used of %zu, %u%% idle, %u%% slack</text>\n",
		  100 + BAR_WIDTH, y + 12, cs->used, cs->slots, stats_idle(cs),
		  stats_slack(cs, class));
}

static void bars(size_t y)
{
	out_print(&o,
		  "<text x=\"4\" y=\"%zu\">Block sizes: asked for (blue), slack inside blocks "
		  "(orange), free (grey)</text>\n",
		  y);
	for (unsigned c = 0; c < CLASS_COUNT; c++)
		if (now.class[c].slabs)
			bar(&now.class[c], c, y += BAR);
}

static size_t bars_height(void)
{
	size_t height = 2 * BAR;

	for (unsigned c = 0; c < CLASS_COUNT; c++)
		height += now.class[c].slabs ? BAR : 0;
	return height;
}

void picture_write(const char *path)
{
	size_t unit_pages = (size_t)units_top() * UNIT_PAGES, run_pages = spans.top, below, end;

	if (unit_pages > (size_t)ROWS_MOST * ROW_PAGES)
		unit_pages = (size_t)ROWS_MOST * ROW_PAGES;
	if (run_pages > (size_t)ROWS_MOST * ROW_PAGES)
		run_pages = (size_t)ROWS_MOST * ROW_PAGES;
	below = HEAD + (unit_pages + ROW_PAGES - 1) / ROW_PAGES * CELL + 4 * CELL;
	end = below + (run_pages / ROW_PAGES + 2) * CELL + BAR;
	stats_take(&now);
	out_path(&o, path);
	out_print(&o, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%zu\">\n",
		  ROW_PAGES * CELL + 40, end + bars_height());
	legend();
	draw_units(unit_pages, HEAD);
	draw_runs(run_pages, (unsigned)below);
	bars(end);
	out_text(&o, "</svg>\n");
	out_close(&o);
}
