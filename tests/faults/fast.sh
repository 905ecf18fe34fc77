#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fast.sh - one fault test at the size for every day, from one and the same seed
exec "$@" --seed "${FAULTS_SEED:-1}"
