#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
# needs: fast
#
# The KUnit suites: linked into lodge.ko, they run when it is loaded, here into
# our own KUnit-enabled kernel on the emulated machine.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

script kunit

status=0
machine --host fast --cpus 2 --append "kunit.enable=1 transparent_hugepage=always" --overlay "$work/overlay" --timeout 500 -- \
	/guest/kunit.sh || status=$?
adopt < <(awk -f tools/check/ktap.awk "$work/machine.out")
try "the machine ended well" [ "$status" = 0 ]
done_testing
