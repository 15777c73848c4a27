#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 1500
# needs: modules tools guests
#
# What must be refused is refused, in words, and nothing else happens: the program's
# arguments and files, the module's parameters, KVM beside it.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

guests /guest/badinput.sh --host 6.1 --cpus 2
done_testing
