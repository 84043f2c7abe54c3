/*
 * symbols.c - names from a file's own symbol table: functions that it does not export.
 *
 * How     dladdr() knows exported names only. The file that an address comes from is mapped, and
 *         its .symtab, if it was not stripped, searched for the function that holds the address.
 *         The last file stays mapped: reports ask for the same one over and over.
 *         Everything in the file is checked against its length before it is believed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "os.h"
#include "stack.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>

static struct {
	char name[256];
	const char *at;
	size_t bytes;
} file;

static bool inside(uint64_t offset, uint64_t bytes)
{
	return offset <= file.bytes && bytes <= file.bytes - offset;
}

static bool open_file(const char *name)
{
	size_t length = strlen(name);

	if (!strcmp(file.name, name))
		return file.at != NULL;
	if (file.at)
		os_unmap((void *)(uintptr_t)file.at, file.bytes);
	file.at = NULL;
	if (length >= sizeof(file.name))
		return false;
	memcpy(file.name, name, length + 1);
	file.at = os_map_file(name, &file.bytes);
	return file.at != NULL;
}

static const Elf64_Shdr *section(const Elf64_Ehdr *head, unsigned i)
{
	uint64_t offset = head->e_shoff + (uint64_t)i * sizeof(Elf64_Shdr);

	if (i >= head->e_shnum || !inside(offset, sizeof(Elf64_Shdr)))
		return NULL;
	return (const Elf64_Shdr *)(file.at + offset);
}

static const char *name_in(const Elf64_Shdr *strings, uint32_t at)
{
	if (!strings || !inside(strings->sh_offset, strings->sh_size) || at >= strings->sh_size)
		return NULL;
	if (!memchr(file.at + strings->sh_offset + at, 0, strings->sh_size - at))
		return NULL;
	return file.at + strings->sh_offset + at;
}

static const Elf64_Sym *find(const Elf64_Shdr *table, uint64_t address)
{
	const Elf64_Sym *s = (const Elf64_Sym *)(file.at + table->sh_offset);

	for (size_t i = 0; i < table->sh_size / sizeof(*s); i++)
		if (ELF64_ST_TYPE(s[i].st_info) == STT_FUNC && address >= s[i].st_value &&
		    address - s[i].st_value < s[i].st_size)
			return &s[i];
	return NULL;
}

const char *symbol_in_file(const char *name, uintptr_t base, uintptr_t address, uintptr_t *start)
{
	const Elf64_Ehdr *head;
	const Elf64_Shdr *table;
	const Elf64_Sym *s;

	if (!open_file(name) || !inside(0, sizeof(*head)))
		return NULL;
	head = (const Elf64_Ehdr *)file.at;
	if (memcmp(head->e_ident, ELFMAG, SELFMAG) || head->e_ident[EI_CLASS] != ELFCLASS64)
		return NULL;
	if (head->e_type == ET_EXEC)
		base = 0;
	for (unsigned i = 0; (table = section(head, i)) != NULL; i++) {
		if (table->sh_type != SHT_SYMTAB || !inside(table->sh_offset, table->sh_size))
			continue;
		s = find(table, address - base);
		if (!s)
			return NULL;
		*start = base + s->st_value;
		return name_in(section(head, table->sh_link), s->st_name);
	}
	return NULL;
}
