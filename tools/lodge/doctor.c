// SPDX-License-Identifier: GPL-2.0
/*
 * "lodge doctor": says, line by line, whether this machine can run lodge, and what
 * to do when it cannot.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend.h"
#include "commands.h"
#include "complain.h"

static const char help[] =
	"Usage: lodge doctor\n"
	"Say whether this machine can run lodge. Each line begins with 'ok', 'warn' (it\n"
	"runs, but) or 'FAIL' (it does not run; what to do follows).\n"
	"\n"
	"  --help  show this\n"
	"\n"
	"Exit status: 0 a virtual machine can be made now; 1 not; 2 wrong options.\n";

#define CPUID_1_ECX_VMX		BIT(5)
#define CPUID_1_ECX_HYPERVISOR	BIT(31)
#define FEATURE_CONTROL_MSR	0x3a
#define FEATURE_CONTROL_LOCKED	BIT(0)
#define FEATURE_CONTROL_VMX	BIT(2)

#define VULNERABILITIES		"/sys/devices/system/cpu/vulnerabilities/"
#define SECURE_BOOT		"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static unsigned int failures;

/* --- lines ----------------------------------------------------------------------- */

static void say(const char *grade, const char *fmt, va_list args, const char *remedy)
{
	printf("%-4s  ", grade);
	vprintf(fmt, args);
	if (remedy)
		printf(" - %s", remedy);
	putchar('\n');
}

static void good(const char *fmt, ...) __printf(1, 2);
static void doubtful(const char *remedy, const char *fmt, ...) __printf(2, 3);
static void bad(const char *remedy, const char *fmt, ...) __printf(2, 3);

static void good(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("ok", fmt, args, NULL);
	va_end(args);
}

static void doubtful(const char *remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("warn", fmt, args, remedy);
	va_end(args);
}

static void bad(const char *remedy, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("FAIL", fmt, args, remedy);
	va_end(args);
	failures++;
}

/* --- reading ------------------------------------------------------------------------ */

/* The first bytes of a file as a string without its last newline; false if it has none. */
static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return true;
}

/* The value of a key in /proc/cpuinfo, with a space before and behind every word. */
static bool read_cpuinfo(const char *key, char *words, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char line[8192];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		size_t len = strcspn(line, "\t:");
		const char *value = strchr(line, ':');

		if (len != strlen(key) || strncmp(line, key, len) || !value)
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(words, size, "%s ", value + 1);
		found = true;
	}
	fclose(f);
	return found;
}

static bool has_word(const char *words, const char *word)
{
	char spaced[64];

	snprintf(spaced, sizeof(spaced), " %s ", word);
	return strstr(words, spaced);
}

/* --- CPU ------------------------------------------------------------------------------ */

/* "Off in the firmware": the MSR says so; without access to it, Linux's flag does. */
static bool firmware_allows(void)
{
	char flags[8192];
	u64 msr;
	int fd = open("/dev/cpu/0/msr", O_RDONLY | O_CLOEXEC);
	bool known = fd >= 0 && pread(fd, &msr, sizeof(msr), FEATURE_CONTROL_MSR) == sizeof(msr);

	if (fd >= 0)
		close(fd);
	if (known && (msr & FEATURE_CONTROL_LOCKED))
		return msr & FEATURE_CONTROL_VMX;
	return !read_cpuinfo("flags", flags, sizeof(flags)) || has_word(flags, "vmx");
}

/* Return: false when the CPU has no VT-x that could be asked further. */
static bool check_cpu(void)
{
	unsigned int eax, ebx, ecx, edx;
	char vendor[13] = "", model[256];

	__cpuid(0, eax, ebx, ecx, edx);
	memcpy(&vendor[0], &ebx, 4);
	memcpy(&vendor[4], &edx, 4);
	memcpy(&vendor[8], &ecx, 4);
	__cpuid(1, eax, ebx, ecx, edx);
	if (!read_cpuinfo("model name", model, sizeof(model)))
		snprintf(model, sizeof(model), " unknown model");

	if (!(ecx & CPUID_1_ECX_VMX)) {
		if (strcmp(vendor, "GenuineIntel"))
			bad("lodge needs an Intel CPU", "CPU: %s,%shas no VT-x", vendor, model);
		else if (ecx & CPUID_1_ECX_HYPERVISOR)
			bad("switch on nested virtualization for it in its host",
			    "CPU: this is a virtual machine without VT-x");
		else
			bad("lodge needs a CPU with it", "CPU:%shas no VT-x", model);
		return false;
	}
	good("CPU: %s,%shas VT-x", vendor, model);
	if (ecx & CPUID_1_ECX_HYPERVISOR)
		doubtful("lodge runs, but slowly", "CPU: this is a virtual machine itself");
	if (!firmware_allows()) {
		bad("switch on 'Intel Virtualization Technology' (VMX) in the firmware's set-up",
		    "firmware: VT-x is switched off");
		return false;
	}
	good("firmware: VT-x is switched on");
	return true;
}

/* What the module cannot do without and Linux has a word for. */
static void check_vmx_floor(void)
{
	static const char *const floor[] = {
		"ept", "vpid", "unrestricted_guest", "preemption_timer",
	};
	char flags[4096], missing[128] = "";

	if (!read_cpuinfo("vmx flags", flags, sizeof(flags)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(floor); i++) {
		if (has_word(flags, floor[i]))
			continue;
		strcat(missing, " ");
		strcat(missing, floor[i]);
	}
	if (missing[0])
		bad("this CPU is too old for lodge", "CPU: VT-x lacks%s", missing);
	else
		good("CPU: VT-x has EPT, VPID, unrestricted guest and preemption timer");
}

/* --- host kernel ----------------------------------------------------------------------- */

static void check_kernel(void)
{
	unsigned int major, minor;
	struct utsname u;

	uname(&u);
	if (strcmp(u.machine, "x86_64")) {
		bad("a 64-bit x86 kernel is needed", "kernel: %s for %s", u.release, u.machine);
		return;
	}
	if (sscanf(u.release, "%u.%u", &major, &minor) == 2 && major == 6 &&
	    (minor == 1 || minor == 12))
		good("kernel: %s", u.release);
	else
		doubtful("lodge is tested with 6.1 and 6.12 only", "kernel: %s", u.release);
}

/* Only of interest while the module is not loaded: they may be why. */
static void check_lockdown(void)
{
	char text[128];

	if (read_text("/sys/kernel/security/lockdown", text, sizeof(text)) &&
	    !strstr(text, "[none]"))
		doubtful("the module must be signed with a key the kernel trusts",
			 "lockdown: %s", text);
	else
		good("lockdown: off");
	/* Four bytes of attributes, then the value. */
	if (read_text(SECURE_BOOT, text, 6) && text[4] == 1)
		doubtful("the module must be signed with an enrolled key (mokutil)",
			 "Secure Boot: on");
	else
		good("Secure Boot: off");
}

static void check_kvm(void)
{
	char users[32];

	if (!access("/sys/module/kvm_amd", F_OK))
		doubtful("lodge is for Intel CPUs", "KVM: kvm_amd is loaded");
	if (access("/sys/module/kvm_intel", F_OK))
		return;
	if (!read_text("/sys/module/kvm_intel/refcnt", users, sizeof(users)))
		strcpy(users, "?");
	doubtful("lodge and KVM cannot use VT-x at the same time; 'rmmod kvm_intel' makes way",
		 "KVM: kvm_intel is loaded, use count %s", users);
}

/* --- module ------------------------------------------------------------------------------ */

static void fail_open(int error, bool cpu_fits)
{
	if (error == EACCES || error == EPERM)
		bad("become root, or have a udev rule made for a group of yours",
		    "module: " LODGE_DEVICE ": permission denied");
	else if (!access("/sys/module/lodge", F_OK))
		bad("is devtmpfs mounted on /dev?", "module: loaded, but " LODGE_DEVICE ": %s",
		    strerror(error));
	else if (!cpu_fits)
		bad("it needs VT-x; see above", "module: not loaded");
	else
		bad("'modprobe lodge' or 'insmod lodge.ko'; if that fails, 'dmesg' says why",
		    "module: not loaded");
}

static void list(const char *what, const char *const *names, size_t nr, u64 bits, bool set)
{
	printf("%-4s  %s:", "ok", what);
	for (size_t i = 0; i < nr; i++)
		if (!(bits >> i & 1) == !set)
			printf(" %s", names[i]);
	putchar('\n');
}

static void show_features(const struct lodge_info *info)
{
	static const char *const features[] = {
		"1GiB-pages", "EPT-A/D", "XSAVES", "INVPCID", "RDTSCP", "UMIP",
		"notify-window", "bus-lock",
	};
	static const char *const mitigations[] = {
		"L1D-flush", "(by-software)", "VERW", "IBPB", "SPEC_CTRL", "RSB-fill",
		"BHB-clear", "IBPB-to-user", "no-executable-huge-pages",
	};

	list("optional features in use", features, ARRAY_SIZE(features), info->features, true);
	list("optional features absent", features, ARRAY_SIZE(features), info->features, false);
	list("mitigations in force", mitigations, ARRAY_SIZE(mitigations), info->mitigations,
	     true);
	good("limits: %u vCPUs in a VM, %u bits of guest-physical address, guest TSC %u kHz",
	     info->max_vcpus, info->gpa_bits, info->tsc_khz);
}

static void show_status(const struct lodge_info *info)
{
	if (!info->status)
		good("module: loaded, and a virtual machine can be made now");
	else if (info->status == EBUSY)
		bad("end its virtual machines, then unload it",
		    "module: loaded, but VT-x is used by %s",
		    info->owner[0] ? info->owner : "another hypervisor");
	else
		bad("'dmesg' may say why", "module: loaded, but it can make no virtual machine: %s",
		    strerror(info->status));
}

/* Return: false when the module cannot be asked. */
static bool check_module(bool cpu_fits)
{
	struct lodge_info info = { .size = sizeof(info) };
	int dev = open(LODGE_DEVICE, O_RDWR | O_CLOEXEC), err;

	if (dev < 0) {
		fail_open(errno, cpu_fits);
		return false;
	}
	err = ioctl(dev, LODGE_GET_INFO, &info) ? errno : 0;
	close(dev);
	if (err) {
		bad("install both from the same source",
		    "module: its version does not fit this program (%s)", strerror(err));
		return false;
	}
	show_status(&info);
	show_features(&info);
	return true;
}

/* --- the host's own weaknesses --------------------------------------------------------------- */

static bool begins_with_any(const char *text, const char *const *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strncmp(text, words[i], strlen(words[i])))
			return true;
	return false;
}

/* Those that a guest could use against the host. */
static void check_vulnerabilities(void)
{
	static const char *const bad[] = { "Vulnerable", "KVM: Vulnerable", "Unknown" };
	static const char *const names[] = {
		"l1tf", "mds", "tsx_async_abort", "mmio_stale_data",
		"reg_file_data_sampling", "itlb_multihit", "spectre_v2", "vmscape",
	};
	char path[128], text[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), VULNERABILITIES "%s", names[i]);
		if (!read_text(path, text, sizeof(text)))
			continue;
		if (!begins_with_any(text, bad, ARRAY_SIZE(bad)))
			good("CPU bug %s: %s", names[i], text);
		else
			doubtful("run trusted guests only; see the kernel's hw-vuln pages",
				 "CPU bug %s: %s", names[i], text);
	}
}

static void check_memory(void)
{
	char text[128];

	if (read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)) &&
	    strstr(text, "[never]"))
		doubtful("switch them on in /sys/kernel/mm/transparent_hugepage/enabled",
			 "memory: huge pages are switched off");
	else
		good("memory: huge pages are available to guests");
}

int cmd_doctor(int argc, char **argv)
{
	bool cpu_fits;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return EXIT_OK;
	}
	if (argc > 1) {
		complain("doctor: unknown option '%s'; try 'lodge doctor --help'", argv[1]);
		return EXIT_USAGE;
	}

	check_kernel();
	cpu_fits = check_cpu();
	if (cpu_fits)
		check_vmx_floor();
	if (!check_module(cpu_fits)) {
		check_lockdown();
		check_kvm();
	}
	check_vulnerabilities();
	check_memory();
	if (failures)
		printf("This machine cannot run lodge now; see FAIL above.\n");
	else
		printf("This machine can run lodge.\n");
	return failures ? EXIT_SETUP : EXIT_OK;
}
