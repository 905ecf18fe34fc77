/* SPDX-License-Identifier: MIT */
/*
 * delay.h - "delay=..., delays=a/b/c/d" as Postfix's daemons log it
 */
#ifndef SYNCQ_QMGR_DELAY_H
#define SYNCQ_QMGR_DELAY_H

struct pass;

#define DELAY_TEXT_SIZE 160

/* For a recipient that no agent has seen: c and d are 0. */
void delay_format(const struct pass *pass, unsigned digits,
                  char text[DELAY_TEXT_SIZE]);

/* One number: two significant digits, at most `digits` decimals. */
void delay_number(double seconds, unsigned digits, char *text,
                  unsigned long size);

#endif
