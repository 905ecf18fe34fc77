/* SPDX-License-Identifier: MIT */
/*
 * salvage_envelope.h - the file beside a salvaged message
 */
#ifndef SYNCQ_ADMIN_SALVAGE_ENVELOPE_H
#define SYNCQ_ADMIN_SALVAGE_ENVELOPE_H

#include <stdio.h>

#include "module/salvage.h"

/* One JSON object: where the message was found, its envelope, and what is known
 * of each recipient.  0 or ENOMEM. */
int salvage_envelope_write(FILE *stream, const struct syncq_salvaged *message);

#endif
