/* SPDX-License-Identifier: MIT */
/*
 * wrap.c - laps of a small queue against a model: see laps.h
 */
#include <stddef.h>

#include "tests/faults/laps.h"

enum { LAPS_DEFAULT = 60 };

int main(int argc, char **argv)
{
    struct findings findings;

    findings_begin(&findings, "wrap", argc, argv);
    laps_run(&findings, findings.count == 0 ? LAPS_DEFAULT : findings.count,
             NULL);
    return findings_end(&findings);
}
