# SPDX-License-Identifier: GPL-2.0
#
# lodge: everything there is to do, from a fresh checkout on Debian 12. All that
# is built goes to build/; what a target needs and the machine lacks it installs
# itself (tools/build/need) and says so.
#
#	make modules				for Debian's 6.1 and 6.12 kernels
#	make modules KDIR=/path/to/build	for that kernel only
#	make check SUITES="kunit boot-6.1"	some of the suites only
#
# The kernel module itself is described to kbuild in Kbuild and Kconfig.

# --- settings ------------------------------------------------------------------

# The kernels lodge is built and checked for.
KERNELS ?= 6.1 6.12
# Another kernel's build folder, instead of those.
KDIR ?=
# The suites make check, or make check-debug, runs; empty means all.
SUITES ?=

PREFIX ?= /usr/local
DESTDIR ?=

CC := gcc
CFLAGS ?= -O2
# The programs also run inside a bare initramfs, so they are static.
LODGE_CFLAGS := -std=gnu11 -Wall -Wextra -Wmissing-prototypes -Wshadow -Werror \
	-Iuapi -D_GNU_SOURCE -MMD -MP
LODGE_LDFLAGS := -static -pthread

# Programs: each is a folder tools/NAME of C files.
TOOLS := lodge
# What make bench measures: all, or patterns of the names that lodge-bench --list shows.
CASES ?=

# --- how make works here ---------------------------------------------------------

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules --no-print-directory

export LODGE_T0 := $(or $(LODGE_T0),$(shell date +%s))
say = printf '[%4ds] %s\n' $$(($$(date +%s) - LODGE_T0))

suites := $(notdir $(basename $(wildcard tools/check/suites/*.sh)))
debug-suites := $(filter debug-%,$(suites))
night-suites := $(filter night-%,$(suites))

.PHONY: help
help:
	@echo 'lodge, a hypervisor in a kernel module. make ...'
	@echo
	@echo '  demo       boot a Debian guest on lodge on an emulated VMX machine'
	@echo '  check      run all tests; SUITES="..." picks some of:'
	@echo '             $(filter-out $(debug-suites) $(night-suites),$(suites))'
	@echo '  check-night  what is slow, or does not come out the same each time:'
	@echo '             $(night-suites)'
	@echo '  check-debug  the tests again, and more, on a kernel that looks for bugs:'
	@echo '             $(debug-suites)'
	@echo '  check-all  check, check-night, check-debug and bench, and one summary'
	@echo '  check-docs put the last results into Documentation/testing.rst'
	@echo '  style      checkpatch, sparse, objtool, shellcheck and the like'
	@echo '  bench      what lodge costs on the emulated machine, beside KVM;'
	@echo "             CASES='exit_*' picks some (lodge-bench --list)"
	@echo '  bench-docs put the last figures into Documentation/performance.rst'
	@echo
	@echo '  modules    lodge.ko for Debian $(KERNELS), or for KDIR=...'
	@echo '  tools      the programs: $(TOOLS) lodge-bench'
	@echo '  selftests  the kselftest programs'
	@echo
	@echo '  install    module for the running kernel (or KDIR=), programs to'
	@echo '             PREFIX ($(PREFIX)); DESTDIR is honoured; uninstall undoes it'
	@echo '  clean      remove build/'

# --- building --------------------------------------------------------------------

.PHONY: all modules tools selftests toolchain
all: modules tools selftests

toolchain:
	@tools/build/need gcc libc6-dev

modules: toolchain
	@tools/build/module $(if $(KDIR),'$(KDIR)',\
		$$(for v in $(KERNELS); do tools/build/kernel headers $$v; done))

tools: $(TOOLS:%=build/tools/%) build/tools/lodge-bench
	@:

# $(call program,NAME): build/tools/NAME from tools/NAME/*.c
define program
$(1)-obj := $$(patsubst %.c,build/obj/%.o,$$(wildcard tools/$(1)/*.c))
build/tools/$(1): $$($(1)-obj)
	@$$(if $$^,,echo 'tools/$(1) has no C files' >&2; exit 1)
	@mkdir -p $$(@D)
	@$$(CC) $$(CFLAGS) -o $$@ $$^ $$(LODGE_LDFLAGS) $$(LDFLAGS)
	@$$(say) 'built $$@'
endef
$(foreach t,$(TOOLS),$(eval $(call program,$(t))))

# A selftest is one C file; all share selftests/lib; NAME.S beside NAME.c is its
# guest code. The harness is the kernel's own, taken from its source package.
selftest-names := $(patsubst selftests/%.c,%,$(wildcard selftests/*.c))
selftest-lib := $(patsubst %,build/obj/%.o,\
	$(basename $(wildcard selftests/lib/*.[cS])))
harness := build/include/kselftest/kselftest_harness.h

selftests: $(selftest-names:%=build/selftests/%)
	@$(if $^,,echo 'selftests/ has no C files' >&2; exit 1)

.SECONDEXPANSION:
build/selftests/%: build/obj/selftests/%.o $(selftest-lib) \
		$$(addprefix build/obj/,$$(addsuffix .o,$$(wildcard selftests/$$*.S)))
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -o $@ $^ $(LODGE_LDFLAGS) $(LDFLAGS)
	@$(say) 'built $@'

# The benchmarks make their guests with the library of the selftests. They are for
# those who work on lodge, so they are not installed.
bench-obj := $(patsubst %.c,build/obj/%.o,$(wildcard tools/bench/*.c)) $(selftest-lib)
build/obj/tools/bench/%: LODGE_CFLAGS += -Iselftests/lib
build/tools/lodge-bench: $(bench-obj)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -o $@ $^ $(LODGE_LDFLAGS) $(LDFLAGS)
	@$(say) 'built $@'

$(harness):
	@mkdir -p $(@D)
	@src=$$(tools/build/kernel source 6.1); \
	cp "$$src"/tools/testing/selftests/kselftest{,_harness}.h $(@D)

build/obj/selftests/%: LODGE_CFLAGS += -Iselftests -Iselftests/lib \
	-isystem $(dir $(harness)) -Wno-unused-parameter -Wno-missing-prototypes

define compile
@mkdir -p $(@D)
@$(say) 'CC $<'
@$(CC) $(CFLAGS) $(LODGE_CFLAGS) -c -o $@ $<
endef

build/obj/selftests/lib/%.o: selftests/lib/%.c | toolchain
	$(compile)
build/obj/selftests/%.o: selftests/%.c | toolchain $(harness)
	$(compile)
build/obj/%.o: %.c | toolchain
	$(compile)
build/obj/%.o: %.S | toolchain
	$(compile)
build/obj/%.S.o: %.S $$(wildcard $$*.corpus) | toolchain
	$(compile)

-include $(shell find build/obj -name '*.d' 2>/dev/null)

# --- showing and checking ----------------------------------------------------------

.PHONY: demo check check-night check-debug check-all check-docs style bench bench-docs
demo: export KERNELS = 6.1
demo:
	@$(MAKE) modules tools KDIR=
	@tools/check/demo

check:
	@tools/check/run $(SUITES)

check-night:
	@tools/check/run $(or $(SUITES),$(night-suites))

check-debug:
	@tools/check/run $(or $(SUITES),$(debug-suites))

check-all:
	@tools/check/all

check-docs:
	@tools/build/need python3
	@tools/check/report.py Documentation/testing.rst build/check

style:
	@tools/check/run -v style

bench:
	@$(MAKE) modules tools KDIR="$$(tools/build/kernel cloud-headers 6.1)"
	@set -f; tools/bench/run $(CASES)

bench-docs:
	@tools/build/need python3
	@tools/bench/report.py --docs Documentation/performance.rst build/bench

# --- installing ----------------------------------------------------------------------

.PHONY: install uninstall
install uninstall: export KDIR := $(KDIR)
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export TOOLS := $(TOOLS)

install: tools
	@tools/build/install

uninstall:
	@tools/build/install -u

# --- cleaning --------------------------------------------------------------------------

.PHONY: clean
clean:
	rm -rf build
