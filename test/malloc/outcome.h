/*
 * outcome.h - a mistake is made in a child: how does that end, and what does the child say?
 *
 * Use     Include from one file per program, after cmocka.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef QUIRE_TEST_OUTCOME_H
#define QUIRE_TEST_OUTCOME_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char outcome_text[1000];

/* The signal that stopped the child, or 0; outcome_text is what it wrote to standard error. */
static int outcome(void (*mistake)(void))
{
	int pipes[2], status;
	ssize_t n, used = 0;
	pid_t pid;

	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		dup2(pipes[1], 2);
		mistake();
		_exit(0);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], outcome_text + used, sizeof(outcome_text) - 1 - (size_t)used)) >
	       0)
		used += n;
	outcome_text[used] = '\0';
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
