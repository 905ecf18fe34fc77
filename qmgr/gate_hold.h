/* SPDX-License-Identifier: MIT */
/*
 * gate_hold.h - look for HOLD actions in what Postfix looks up
 */
#ifndef SYNCQ_QMGR_GATE_HOLD_H
#define SYNCQ_QMGR_GATE_HOLD_H

#include <stddef.h>

/*
 * text is a parameter's value: maps, restrictions, nested maps.  True when a
 * table that is written inline, is static:HOLD, or has a readable source file
 * says HOLD; where is then the table.  What cannot be read is passed over.
 */
int gate_hold_find(const char *text, char *where, size_t where_size);

/* Does a table's source text have a line with the action HOLD? */
int gate_hold_in_lines(const char *text);

#endif
