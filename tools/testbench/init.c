// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of an emulated host: sets the system up, loads the module,
 * runs the command, and reports everything in frames on port 0xE9.
 *
 * Bochs prints what is written to port 0xE9 and takes no emulated time over it,
 * so output is fast, and it is apart from the serial console, which stays
 * free for the kernel's last words.  A frame is
 *
 *	nonce[8]  type  u16 length, low byte first  payload
 *
 * where the nonce is new in every run, so that nothing else which is printed
 * passes for a frame by accident.  run.py is the other end.
 *
 * What to do is told by files of the initramfs:
 *
 *	/emu/nonce	the nonce
 *	/emu/command	the command's arguments, each ending in NUL
 *	/emu/module	arguments of lodge.ko, each ending in NUL; absent: no module
 *	/emu/terminal	"ROWS COLUMNS TERM": run on ttyS1; absent: output to frames
 *
 * The command finds the number of this boot, from 1, in EMU_BOOT: when it reboots
 * the host, by whatever way, it is run again.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define DEBUG_PORT	0xe9
#define SHUTDOWN_PORT	0x8900
#define NONCE_SIZE	8
#define MAX_PAYLOAD	8192
#define MAX_ARGS	4096
#define TERMINAL	"/dev/ttyS1"
#define CMOS_PORT	0x70		/* of the register's number; the next is its value's */
#define CMOS_BOOTS	0x7e		/* a register that nobody else uses */

enum frame {
	FRAME_STARTED = 'b',	/* boot is over; payload: seconds since power-on */
	FRAME_OUTPUT = 'o',	/* what the command wrote */
	FRAME_KERNEL = 'k',	/* lines of the kernel's log */
	FRAME_SECTIONS = 'a',	/* lines of the module's sections and addresses */
	FRAME_MODULE = 'm',	/* the module did not load */
	FRAME_ERROR = 'e',	/* the host could not be set up */
	FRAME_STATUS = 's',	/* the command ended; payload: its exit status */
};

static char nonce[NONCE_SIZE];

static void out_bytes(unsigned short port, const void *p, size_t n)
{
	asm volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(port) : "memory");
}

static void send_frame(enum frame type, const void *payload, size_t len)
{
	unsigned char head[NONCE_SIZE + 3];

	memcpy(head, nonce, NONCE_SIZE);
	head[NONCE_SIZE] = type;
	head[NONCE_SIZE + 1] = len & 0xff;
	head[NONCE_SIZE + 2] = len >> 8;
	out_bytes(DEBUG_PORT, head, sizeof(head));
	out_bytes(DEBUG_PORT, payload, len);
}

__attribute__((format(printf, 2, 3)))
static void sendf(enum frame type, const char *format, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n >= (int)sizeof(text))
		n = sizeof(text) - 1;
	send_frame(type, text, n);
}

/* The number of this boot: the real-time clock's memory outlasts every kind of reset. */
static int count_boot(void)
{
	int boots;

	outb(CMOS_BOOTS, CMOS_PORT);
	boots = inb(CMOS_PORT + 1) + 1;
	outb(CMOS_BOOTS, CMOS_PORT);
	outb(boots, CMOS_PORT + 1);
	return boots;
}

static _Noreturn void power_off(void)
{
	out_bytes(SHUTDOWN_PORT, "Shutdown", 8);
	/* not reached under Bochs */
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static _Noreturn void fail(const char *what)
{
	sendf(FRAME_ERROR, "%s: %s", what, strerror(errno));
	power_off();
}

static void mount_at(const char *type, const char *dir, const char *options, int must)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, options) && errno != EBUSY && must)
		fail(dir);
}

static void mount_all(void)
{
	mount_at("devtmpfs", "/dev", "mode=0755", 1);
	mount_at("proc", "/proc", NULL, 1);
	mount_at("sysfs", "/sys", NULL, 1);
	mount_at("devpts", "/dev/pts", "mode=0620,ptmxmode=0666", 1);
	mount_at("tmpfs", "/dev/shm", "mode=1777", 1);
	mount_at("tmpfs", "/tmp", "mode=1777", 1);
	mount_at("tmpfs", "/run", "mode=0755", 1);
	/* what a kernel may lack */
	mount_at("debugfs", "/sys/kernel/debug", NULL, 0);
	mount_at("tracefs", "/sys/kernel/tracing", NULL, 0);
	mount_at("cgroup2", "/sys/fs/cgroup", NULL, 0);

	symlink("/proc/self/fd", "/dev/fd");
	symlink("fd/0", "/dev/stdin");
	symlink("fd/1", "/dev/stdout");
	symlink("fd/2", "/dev/stderr");
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

/* The whole of a file, with a NUL behind it; NULL when there is none. */
static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st))
		fail(path);
	text = calloc(1, st.st_size + 1);
	if (!text)
		fail(path);
	n = read(fd, text, st.st_size);
	if (n < 0)
		fail(path);
	close(fd);
	if (len)
		*len = n;
	return text;
}

/* A file of arguments that each end in NUL, behind those already in argv. */
static void add_args(char **argv, const char *path)
{
	char *p, *end;
	size_t len;
	int n = 0;

	while (argv[n])
		n++;
	p = read_file(path, &len);
	if (!p)
		fail(path);
	for (end = p + len; p < end; p += strlen(p) + 1) {
		if (n == MAX_ARGS - 1) {
			errno = E2BIG;
			fail(path);
		}
		argv[n++] = p;
	}
	argv[n] = NULL;
}

/*
 * Relay the kernel's log.  A record reads "priority,number,microseconds,flags;
 * text", and may have more lines of "NAME=value", which are left out.
 */
static void relay_kernel_log(int fd)
{
	unsigned long long usec;
	char record[8192], *text, *end;
	ssize_t n;

	if (fd < 0)
		return;
	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {
			sendf(FRAME_KERNEL, "emu: kernel log lines were lost here\n");
			continue;
		}
		if (n <= 0)
			return;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%*u,%*u,%llu", &usec) != 1)
			continue;
		end = strchr(++text, '\n');
		if (end)
			*end = '\0';
		sendf(FRAME_KERNEL, "[%5llu.%06llu] %.400s\n",
		      usec / 1000000, usec % 1000000, text);
	}
}

/* Relay what is there; false at the end of it. */
static int relay_output(int fd)
{
	char buffer[MAX_PAYLOAD];
	ssize_t n;

	for (;;) {
		n = read(fd, buffer, sizeof(buffer));
		if (n == 0)
			return 0;
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		send_frame(FRAME_OUTPUT, buffer, n);
	}
}

/* In the child: make the serial line a terminal like any other, and ours. */
static void take_terminal(const char *settings)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	struct termios mode;
	char term[64] = "linux";
	int fd;

	sscanf(settings, "%hu %hu %63s", &size.ws_row, &size.ws_col, term);
	setenv("TERM", term, 1);
	fd = open(TERMINAL, O_RDWR);
	if (fd < 0 || tcgetattr(fd, &mode) || ioctl(fd, TIOCSCTTY, 1))
		fail(TERMINAL);
	mode.c_cflag |= CLOCAL | CREAD | HUPCL;
	cfsetspeed(&mode, B115200);
	tcsetattr(fd, TCSANOW, &mode);
	ioctl(fd, TIOCSWINSZ, &size);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static pid_t spawn(char **argv, int output, const char *terminal)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;

	setsid();
	if (terminal) {
		take_terminal(terminal);
	} else {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(output, 1);
		dup2(output, 2);
		if (null > 2)
			close(null);
	}
	iopl(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	fprintf(stderr, "emu: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Run a command to its end, relaying; its status as a shell would tell it. */
static int run(char **argv, const char *terminal, int kmsg, int children)
{
	struct pollfd fds[3];
	struct signalfd_siginfo info;
	int fd[2], status = 0, done = 0, open_end = 1;
	pid_t pid, child;

	if (pipe2(fd, O_CLOEXEC))
		fail("pipe");
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	child = spawn(argv, fd[1], terminal);
	close(fd[1]);

	fds[0] = (struct pollfd){ .fd = children, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = kmsg, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = fd[0], .events = POLLIN };
	while (!done) {
		int wstatus;

		poll(fds, open_end ? 3 : 2, -1);
		while (read(children, &info, sizeof(info)) > 0)
			;
		while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
			if (pid != child)
				continue;
			status = WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus)
						      : WEXITSTATUS(wstatus);
			done = 1;
		}
		if (open_end)
			open_end = relay_output(fd[0]);
		relay_kernel_log(kmsg);
	}
	close(fd[0]);
	return status;
}

/* Where the module's code is, so that run.py can name addresses in it. */
static void send_sections(void)
{
	static const char dir[] = "/sys/module/lodge/sections";
	char text[MAX_PAYLOAD], path[512], address[32];
	size_t len = 0;
	struct dirent *entry;
	DIR *d = opendir(dir);
	ssize_t n;
	int fd;

	while (d && (entry = readdir(d))) {
		if (!strstr(entry->d_name, "text"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, address, sizeof(address) - 1);
		close(fd);
		if (n <= 0 || len + 256 + sizeof(address) > sizeof(text))
			continue;
		address[n] = '\0';
		len += snprintf(text + len, sizeof(text) - len, "%s %s",
				entry->d_name, address);
	}
	if (d)
		closedir(d);
	send_frame(FRAME_SECTIONS, text, len);
}

int main(void)
{
	static char *modprobe[MAX_ARGS] = { "modprobe", "lodge" };
	static char *command[MAX_ARGS];
	int kmsg, children, status;
	char *text, *terminal, boots[16];
	struct timespec now;
	sigset_t set;
	size_t len;

	if (iopl(3))
		return 1;	/* the kernel panics, and says so on the console */
	text = read_file("/emu/nonce", &len);
	if (!text || len != NONCE_SIZE)
		return 2;
	memcpy(nonce, text, NONCE_SIZE);

	mount_all();
	loopback_up();
	sethostname("host", 4);
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("SHELL", "/bin/sh", 1);
	setenv("TERM", "dumb", 1);
	snprintf(boots, sizeof(boots), "%d", count_boot());
	setenv("EMU_BOOT", boots, 1);
	mkdir("/root", 0700);
	if (chdir("/root"))
		fail("/root");
	umask(022);

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	children = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	relay_kernel_log(kmsg);
	clock_gettime(CLOCK_MONOTONIC, &now);
	sendf(FRAME_STARTED, "%lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);

	if (!access("/emu/module", F_OK)) {
		add_args(modprobe, "/emu/module");
		status = run(modprobe, NULL, kmsg, children);
		if (status) {
			sendf(FRAME_MODULE, "modprobe ended with status %d", status);
			power_off();
		}
		send_sections();
	}

	add_args(command, "/emu/command");
	terminal = read_file("/emu/terminal", NULL);
	status = run(command, terminal, kmsg, children);
	if (terminal)
		usleep(20000);	/* the UART's queue */
	sendf(FRAME_STATUS, "%d", status);
	power_off();
}
