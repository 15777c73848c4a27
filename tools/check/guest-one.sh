#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: one guest with two vCPUs, enough to see that this kind of
# CPU works. The argument is put before the test's name.

/guest/run.sh "$1-2cpus" 6.1-cloud 256 2
echo @done
