/*
 * shared.c - memory shared between processes: MAP_SHARED anonymous, System V, POSIX, memfd;
 *            with counters, process-shared mutexes, barriers, semaphores and futexes in it.
 *
 * SPDX-License-Identifier: MIT
 */
#include "e2e.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/shm.h>

enum { CHILDREN = 6, ROUNDS = 400, DATA_PAGES = 600 };

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t turned;
	pthread_barrier_t barrier;
	sem_t semaphore;
	uint64_t atomic, locked;
	int turn;
};

static void shared_init(struct shared *s)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_barrierattr_t barrier;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	must(pthread_mutex_init(&s->mutex, &mutex) == 0);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	must(pthread_cond_init(&s->turned, &cond) == 0);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	must(pthread_barrier_init(&s->barrier, &barrier, CHILDREN) == 0);
	must(sem_init(&s->semaphore, 1, 0) == 0);
}

/* Writes its own pages, meets the others, reads theirs. */
static void child(struct shared *s, char *data, int me)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		__atomic_add_fetch(&s->atomic, 1, __ATOMIC_SEQ_CST);
		must(pthread_mutex_lock(&s->mutex) == 0);
		s->locked++;
		must(pthread_mutex_unlock(&s->mutex) == 0);
	}
	for (i = me; i < DATA_PAGES; i += CHILDREN)
		fill_page(data + i * PAGE, (uint64_t)(i * 10 + me));
	pthread_barrier_wait(&s->barrier);
	for (i = 0; i < DATA_PAGES; i++)
		must(page_holds(data + i * PAGE, (uint64_t)(i * 10 + i % CHILDREN)));
	for (i = 0; i < 30; i++) {
		must(pthread_mutex_lock(&s->mutex) == 0);
		while (s->turn % CHILDREN != me)
			must(pthread_cond_wait(&s->turned, &s->mutex) == 0);
		s->turn++;
		pthread_cond_broadcast(&s->turned);
		must(pthread_mutex_unlock(&s->mutex) == 0);
	}
	must(sem_post(&s->semaphore) == 0);
	pthread_barrier_wait(&s->barrier);
	if (me == 0) /* dies holding the lock */
		must(pthread_mutex_lock(&s->mutex) == 0);
	_exit(me);
}

static void play(const char *what, void *memory)
{
	struct shared *s = memory;
	char *data = (char *)memory + PAGE;
	pid_t pids[CHILDREN];
	int i, sum = 0;

	shared_init(s);
	fflush(stdout);
	alarm(100); /* a child that failed would leave us waiting */
	for (i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0);
		if (pids[i] == 0)
			child(s, data, i);
	}
	for (i = 0; i < CHILDREN; i++)
		must(sem_wait(&s->semaphore) == 0);
	for (i = 0; i < CHILDREN; i++)
		sum += wait_for(pids[i]);
	i = pthread_mutex_lock(&s->mutex);
	must(i != EOWNERDEAD || pthread_mutex_consistent(&s->mutex) == 0);
	must(pthread_mutex_unlock(&s->mutex) ==
	     0); /* the memory goes: no lock may stay on the robust list */
	printf("%s: %llu %llu turn %d, children %d, lock of the dead: %d, data %016llx\n", what,
	       (unsigned long long)s->atomic, (unsigned long long)s->locked, s->turn, sum, i,
	       (unsigned long long)hash_bytes(data, DATA_PAGES * PAGE));
}

static void anonymous(void)
{
	void *memory = map_anonymous((DATA_PAGES + 1) * PAGE, MAP_SHARED);

	play("MAP_SHARED", memory);
	must(munmap(memory, (DATA_PAGES + 1) * PAGE) == 0);
}

static void system_v(void)
{
	struct shmid_ds ds;
	int id = shmget(IPC_PRIVATE, (DATA_PAGES + 1) * PAGE, IPC_CREAT | 0600);
	char *first, *second;

	must(id >= 0);
	first = shmat(id, NULL, 0);
	second = shmat(id, NULL, SHM_RDONLY);
	must(first != (void *)-1 && second != (void *)-1 && first != second);
	must(shmctl(id, IPC_RMID, NULL) == 0);
	play("System V", first);
	must(shmctl(id, IPC_STAT, &ds) == 0);
	printf("attached %lu times, size %zu, both views equal: %d\n", (unsigned long)ds.shm_nattch,
	       ds.shm_segsz, !memcmp(first + PAGE, second + PAGE, DATA_PAGES * PAGE));
	must(shmdt(first) == 0 && shmdt(second) == 0);
	printf("shmdt again: %d", shmdt(first));
	printf(" errno %d\n", errno);
}

static void by_descriptor(const char *what, int fd)
{
	size_t size = (DATA_PAGES + 1) * PAGE;
	char *first, *second, block[PAGE];

	must(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	first = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	second = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(first != MAP_FAILED && second != MAP_FAILED);
	play(what, first);
	must(!memcmp(first, second, size));
	fill_page(second + 5 * PAGE, 77);
	must(page_holds(first + 5 * PAGE, 77));
	must(pread(fd, block, PAGE, 5 * PAGE) == PAGE && page_holds(block, 77));
	fill_page(block, 78);
	must(pwrite(fd, block, PAGE, 6 * PAGE) == PAGE && page_holds(first + 6 * PAGE, 78));
	must(munmap(first, size) == 0 && munmap(second, size) == 0 && close(fd) == 0);
}

int main(void)
{
	char name[64];
	int fd;

	anonymous();
	system_v();
	snprintf(name, sizeof(name), "/quire-e2e-%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(shm_unlink(name) == 0);
	by_descriptor("POSIX", fd);
	by_descriptor("memfd", memfd_create("test", 0));
	return 0;
}
