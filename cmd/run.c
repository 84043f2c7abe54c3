/* minimal for now */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "cmd/cmd.h"
#include "mmu/host/host.h"
static u64 size_of(const char *t){char *e;u64 v=strtoull(t,&e,10);if(*e=='K')v<<=10;if(*e=='M')v<<=20;if(*e=='G')v<<=30;return v;}
int cmd_run(int argc, char **argv)
{
	struct host_config c = { .ram_bytes = 64<<20 };
	int i;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i],"--mem")) c.ram_bytes = size_of(argv[++i]);
		else if (!strcmp(argv[i],"--swap")) c.swap_bytes = size_of(argv[++i]);
		else if (!strcmp(argv[i],"--verbose")) c.verbose = true;
		else if (!strcmp(argv[i],"--")) { i++; break; }
		else break;
	}
	struct host *h = host_create(&c);
	int st = host_start(h, argv + i);
	fprintf(stderr, "faults %llu notif %llu trips %llu cmds %llu busy %.3f ms status %x\n", (unsigned long long)h->nr_faults, (unsigned long long)h->nr_notifications, (unsigned long long)h->agent_trips, (unsigned long long)h->agent_commands, h->busy_ns/1e6, st);
	host_destroy(h);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}
