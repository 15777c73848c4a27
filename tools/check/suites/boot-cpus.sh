#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 1200
# needs: modules tools guests
#
# Other CPUs: the least lodge needs, the most the emulator has, and one that has
# too little, where the module must refuse and say why.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

for model in corei7_sandy_bridge_2600k corei7_skylake_x; do
	guests "/guest/one.sh ${model#corei7_}" --host 6.1 --cpu-model "$model"
done

# Without --no-module the runner would load it, and end when that fails.
kdir=$(tools/build/kernel headers 6.1)
mkdir -p "$work/overlay/guest"
cp "build/modules/${kdir##*/linux-headers-}/lodge.ko" tools/check/guest-refused.sh \
	"$work/overlay/guest"
machine --host 6.1 --cpu-model core2_penryn_t9600 --no-module \
	--overlay "$work/overlay" -- sh /guest/guest-refused.sh || :
adopt < <(results)
done_testing
