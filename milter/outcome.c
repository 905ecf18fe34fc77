/* SPDX-License-Identifier: MIT */
#include "milter/outcome.h"

static const char *const names[OUTCOME_COUNT] = {
    [OUTCOME_CAPTURED] = "captured",
    [OUTCOME_OBSERVED] = "observed",
    [OUTCOME_GATED] = "gate closed",
    [OUTCOME_UNAVAILABLE] = "queue unavailable",
    [OUTCOME_NO_FILE] = "no queue file",
    [OUTCOME_NOT_UNDERSTOOD] = "not understood",
    [OUTCOME_TOO_LARGE] = "too large",
    [OUTCOME_UNCONFIRMED] = "not confirmed",
};

const char *outcome_name(enum outcome outcome)
{
    return (unsigned)outcome < OUTCOME_COUNT ? names[outcome] : "unknown";
}
