// SPDX-License-Identifier: GPL-2.0
/*
 * A whole Linux guest by "lodge run": from the start of that program to the first
 * words of the guest's init, and to the program's end.
 */
#include <sys/wait.h>

#include "bench.h"

#define TAG		"bench"
#define BEGIN		"guest " TAG ": begin"
#define STATUS		"guest " TAG ": status 0"

struct boot_files boot_files = {
	.kernel = "/guest/vmlinuz-6.1-cloud",
	.initrd = "/guest/initrd",
};

static pid_t start_lodge(int *out)
{
	int pipe_fd[2];
	pid_t pid;

	require(!pipe(pipe_fd));
	pid = fork();
	require(pid >= 0);
	if (!pid) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		require(freopen("/dev/null", "r", stdin));
		execlp("lodge", "lodge", "run", "--kernel", boot_files.kernel, "--initrd",
		       boot_files.initrd, "--mem", "128M", "--append",
		       "console=ttyS0 quiet tag=" TAG " run=true", NULL);
		test_fail("lodge: %s", strerror(errno));
	}
	close(pipe_fd[1]);
	*out = pipe_fd[0];
	return pid;
}

/* All that it says, to its end. Return: the TSC when BEGIN was there, or 0. */
static u64 listen(int out, char *text, size_t size)
{
	size_t len = 0;
	u64 begin = 0;
	ssize_t n;

	while (len + 1 < size && (n = read(out, text + len, size - 1 - len)) > 0) {
		len += n;
		text[len] = '\0';
		if (!begin && strstr(text, BEGIN))
			begin = read_tsc();
	}
	return begin;
}

static void bench_boot(void)
{
	static struct samples init, end;
	static char text[1 << 16];
	u64 start, begin, stop;
	int out, status;
	pid_t pid;

	if (access(boot_files.kernel, R_OK) || access(boot_files.initrd, R_OK)) {
		printf("# boot not measured: no %s or no %s\n", boot_files.kernel,
		       boot_files.initrd);
		return;
	}
	start = read_tsc();
	pid = start_lodge(&out);
	begin = listen(out, text, sizeof(text));
	require(waitpid(pid, &status, 0) == pid);
	stop = read_tsc();
	close(out);
	if (!begin || !strstr(text, STATUS) || status)
		test_fail("the guest did not boot and power off (status 0x%x); it said:\n%s",
			  status, text);
	sample(&init, begin - start);
	sample(&end, stop - start);
	report("boot_to_init", "ticks", &init);
	report("boot_to_end", "ticks", &end);
}

const struct bench boot_benches[] = {
	{ "boot", "lodge run of a Linux kernel, to its init and to its end", bench_boot },
	{}
};
