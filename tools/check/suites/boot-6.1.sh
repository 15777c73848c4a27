#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 2400
# needs: modules tools guests
#
# Debian's kernels as guests on Debian's 6.1 kernel, all in one boot of the host.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

guests "/guest/matrix.sh 2" --host 6.1 --cpus 2 --mem 2048
done_testing
