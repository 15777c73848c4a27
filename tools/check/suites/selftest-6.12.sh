#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 1500
# needs: modules tools selftests
#
# The kselftest programs, all in one boot of Debian's 6.12 kernel.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

# In-kernel preemption everywhere, which 6.1 is tested without.
selftests --host 6.12 --cpus 2 --append preempt=full
done_testing
