/*
 * proto.c - the heap profile as pprof's profile.proto, in a gzip file.
 *
 * How     Four values per stack: allocated and live, blocks and bytes, estimated for all requests.
 *         Addresses carry the names that dladdr() knows, so that a reader needs no binaries; the
 *         mappings are there as well, for those who have them. The gzip file consists of stored
 *         blocks: right, if larger, and without a library.
 *         Strings are numbered in the order in which write_strings() puts them out: the fixed
 *         ones, a path per mapping, a name per address.
 * Use     Chosen by a path that ends in .pb.gz (profile_write()).
 *
 * SPDX-License-Identifier: MIT
 */
#include "os.h"
#include "profile.h"
#include "tune.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MAPPINGS_MOST 1024
#define MESSAGE_MOST  512

/* profile.proto: the numbers of the fields used here. */
enum {
	PROFILE_TYPE = 1,
	PROFILE_SAMPLE,
	PROFILE_MAPPING,
	PROFILE_LOCATION,
	PROFILE_FUNCTION,
	PROFILE_STRING,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD,
	PROFILE_DEFAULT = 14
};
enum { TYPE_TYPE = 1, TYPE_UNIT };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE };
enum { MAPPING_ID = 1, MAPPING_START, MAPPING_LIMIT, MAPPING_OFFSET, MAPPING_FILE };
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1 };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME };

static const char *const fixed[] = { "",      "alloc_objects", "count",	      "alloc_space",
				     "bytes", "inuse_objects", "inuse_space", "space" };
enum {
	S_NONE,
	S_ALLOC_OBJECTS,
	S_COUNT,
	S_ALLOC_SPACE,
	S_BYTES,
	S_INUSE_OBJECTS,
	S_INUSE_SPACE,
	S_SPACE,
	S_FIXED
};

struct message {
	unsigned used;
	uint8_t bytes[MESSAGE_MOST];
};

struct mapping {
	uintptr_t from, to, offset;
	char path[232];
};

static struct out o;
static struct {
	uint32_t crc, total;
	unsigned used;
	uint8_t bytes[32768];
} gzip;
static struct mapping *mappings;
static size_t mapping_count;
static uintptr_t *addresses; /* distinct, ascending: a location's id is its place + 1 */
static size_t address_count;

/* --- gzip ------------------------------------------------------------------------------------ */

static void out_little(uint32_t value, unsigned bytes)
{
	for (; bytes; bytes--, value >>= 8)
		out_bytes(&o, &(uint8_t){ (uint8_t)value }, 1);
}

static void gzip_flush(unsigned final)
{
	out_little(final, 1);
	out_little(gzip.used, 2);
	out_little(~gzip.used, 2);
	out_bytes(&o, gzip.bytes, gzip.used);
	gzip.used = 0;
}

static uint32_t crc_of(uint32_t crc, uint8_t byte)
{
	crc ^= byte;
	for (int i = 0; i < 8; i++)
		crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	return crc;
}

static void gzip_bytes(const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	for (; count; count--, at++) {
		gzip.crc = crc_of(gzip.crc, *at);
		gzip.total++;
		gzip.bytes[gzip.used++] = *at;
		if (gzip.used == sizeof(gzip.bytes))
			gzip_flush(0);
	}
}

static void gzip_begin(void)
{
	static const uint8_t head[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };

	gzip.crc = ~0u;
	gzip.total = gzip.used = 0;
	out_bytes(&o, head, sizeof(head));
}

static void gzip_end(void)
{
	gzip_flush(1);
	out_little(~gzip.crc, 4);
	out_little(gzip.total, 4);
}

/* --- protocol buffers ------------------------------------------------------------------------ */

static void put_varint(struct message *m, uint64_t value)
{
	while (value >= 128) {
		m->bytes[m->used++] = (uint8_t)(value | 128);
		value >>= 7;
	}
	m->bytes[m->used++] = (uint8_t)value;
}

static void put_number(struct message *m, unsigned field, uint64_t value)
{
	put_varint(m, field << 3);
	put_varint(m, value);
}

static void put_message(struct message *m, unsigned field, const struct message *inner)
{
	put_varint(m, field << 3 | 2);
	put_varint(m, inner->used);
	memcpy(m->bytes + m->used, inner->bytes, inner->used);
	m->used += inner->used;
}

static void write_bytes(unsigned field, const void *bytes, size_t count)
{
	struct message head = { 0 };

	put_varint(&head, field << 3 | 2);
	put_varint(&head, count);
	gzip_bytes(head.bytes, head.used);
	gzip_bytes(bytes, count);
}

static void write_message(unsigned field, const struct message *m)
{
	write_bytes(field, m->bytes, m->used);
}

/* --- what there is --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

/* A return address may be the first byte of the next function: the call lies before it. */
static bool collect_addresses(void)
{
	size_t all = 0, n = 0;

	for (size_t i = 0; i < profile_count(); i++)
		all += profile_site(i)->depth;
	addresses = os_map((all + 1) * sizeof(*addresses), OS_READ_WRITE);
	if (!addresses)
		return false;
	for (size_t i = 0; i < profile_count(); i++)
		for (unsigned k = 0; k < profile_site(i)->depth; k++)
			addresses[n++] = profile_site(i)->frame[k] - 1;
	qsort(addresses, n, sizeof(*addresses), by_value);
	address_count = 0;
	for (size_t i = 0; i < n; i++)
		if (!i || addresses[i] != addresses[address_count - 1])
			addresses[address_count++] = addresses[i];
	return true;
}

static uint64_t location_of(uintptr_t address)
{
	size_t low = 0, high = address_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low + 1;
}

/* "from-to perms offset dev inode path"; only code is of interest. */
static void add_mapping(const char *line)
{
	struct mapping *m = &mappings[mapping_count];
	const char *path = strchr(line, '/');
	char *end;

	m->from = strtoul(line, &end, 16);
	m->to = strtoul(end + 1, &end, 16);
	if (!path || end[3] != 'x' || mapping_count == MAPPINGS_MOST)
		return;
	m->offset = strtoul(end + 5, NULL, 16);
	memccpy(m->path, path, 0, sizeof(m->path) - 1);
	mapping_count++;
}

static bool collect_mappings(void)
{
	static char buffer[4096], line[512];
	int fd = os_open("/proc/self/maps", O_RDONLY, 0);
	size_t used = 0;
	long n;

	mappings = os_map((MAPPINGS_MOST + 1) * sizeof(*mappings), OS_READ_WRITE);
	mapping_count = 0;
	if (!mappings || fd < 0)
		return false;
	while ((n = os_read(fd, buffer, sizeof(buffer))) > 0)
		for (long i = 0; i < n; i++) {
			if (buffer[i] != '\n') {
				if (used < sizeof(line) - 1)
					line[used++] = buffer[i];
				continue;
			}
			line[used] = '\0';
			add_mapping(line);
			used = 0;
		}
	os_close(fd);
	return true;
}

static uint64_t mapping_of(uintptr_t address)
{
	for (size_t i = 0; i < mapping_count; i++)
		if (address >= mappings[i].from && address < mappings[i].to)
			return i + 1;
	return 0;
}

/* --- the profile ----------------------------------------------------------------------------- */

static void write_type(unsigned field, unsigned type, unsigned unit)
{
	struct message m = { 0 };

	put_number(&m, TYPE_TYPE, type);
	put_number(&m, TYPE_UNIT, unit);
	write_message(field, &m);
}

static void write_sample(const struct site *s)
{
	struct message m = { 0 }, where = { 0 }, values = { 0 };

	for (unsigned k = 0; k < s->depth; k++)
		put_varint(&where, location_of(s->frame[k] - 1));
	put_varint(&values, (s->blocks + 500) / 1000);
	put_varint(&values, s->bytes / 1000);
	put_varint(&values, (s->blocks - s->freed_blocks + 500) / 1000);
	put_varint(&values, (s->bytes - s->freed_bytes) / 1000);
	put_message(&m, SAMPLE_LOCATION, &where);
	put_message(&m, SAMPLE_VALUE, &values);
	write_message(PROFILE_SAMPLE, &m);
}

static void write_mapping(size_t i)
{
	struct message m = { 0 };

	put_number(&m, MAPPING_ID, i + 1);
	put_number(&m, MAPPING_START, mappings[i].from);
	put_number(&m, MAPPING_LIMIT, mappings[i].to);
	put_number(&m, MAPPING_OFFSET, mappings[i].offset);
	put_number(&m, MAPPING_FILE, S_FIXED + i);
	write_message(PROFILE_MAPPING, &m);
}

/* Each address with a function of its own: readers add them up by name. */
static void write_location(size_t i)
{
	struct message location = { 0 }, line = { 0 }, function = { 0 };

	put_number(&line, LINE_FUNCTION, i + 1);
	put_number(&location, LOCATION_ID, i + 1);
	put_number(&location, LOCATION_MAPPING, mapping_of(addresses[i]));
	put_number(&location, LOCATION_ADDRESS, addresses[i]);
	put_number(&function, FUNCTION_ID, i + 1);
	put_number(&function, FUNCTION_NAME, S_FIXED + mapping_count + i);
	put_number(&function, FUNCTION_SYSTEM_NAME, S_FIXED + mapping_count + i);
	if (stack_symbol(addresses[i])) {
		put_message(&location, LOCATION_LINE, &line);
		write_message(PROFILE_FUNCTION, &function);
	}
	write_message(PROFILE_LOCATION, &location);
}

static void write_string(const char *text)
{
	write_bytes(PROFILE_STRING, text, strlen(text));
}

static void write_strings(void)
{
	const char *name;

	for (unsigned i = 0; i < S_FIXED; i++)
		write_string(fixed[i]);
	for (size_t i = 0; i < mapping_count; i++)
		write_string(mappings[i].path);
	for (size_t i = 0; i < address_count; i++) {
		name = stack_symbol(addresses[i]);
		write_string(name ? name : "");
	}
}

static void write_period(void)
{
	struct message m = { 0 };

	write_type(PROFILE_PERIOD_TYPE, S_SPACE, S_BYTES);
	put_number(&m, PROFILE_PERIOD, tune.sample_bytes);
	put_number(&m, PROFILE_DEFAULT, S_INUSE_SPACE);
	gzip_bytes(m.bytes, m.used);
}

void profile_write_proto(const char *path)
{
	if (!collect_mappings() || !collect_addresses())
		return;
	out_path(&o, path);
	gzip_begin();
	write_type(PROFILE_TYPE, S_ALLOC_OBJECTS, S_COUNT);
	write_type(PROFILE_TYPE, S_ALLOC_SPACE, S_BYTES);
	write_type(PROFILE_TYPE, S_INUSE_OBJECTS, S_COUNT);
	write_type(PROFILE_TYPE, S_INUSE_SPACE, S_BYTES);
	for (size_t i = 0; i < profile_count(); i++)
		write_sample(profile_site(i));
	for (size_t i = 0; i < mapping_count; i++)
		write_mapping(i);
	for (size_t i = 0; i < address_count; i++)
		write_location(i);
	write_strings();
	write_period();
	gzip_end();
	out_close(&o);
}
