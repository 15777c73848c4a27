#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 1200
# needs: modules tools guests
#
# The program on KVM: the same guests must do the same. Where one fails only on
# lodge it is the module that is wrong, where it fails on both it is the program.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

guests /guest/kvm.sh --host 6.1 --cpus 2
done_testing
