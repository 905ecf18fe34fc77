/* SPDX-License-Identifier: MIT */
/*
 * address.h - mail addresses as the queue manager needs them
 */
#ifndef SYNCQ_QMGR_ADDRESS_H
#define SYNCQ_QMGR_ADDRESS_H

#include <stddef.h>

/*
 * The external form: the local part is quoted when it must be.  What cannot
 * be printed becomes '?'.  Always ends with NUL; cut at size - 1.
 */
void address_quote(const char *address, char *quoted, size_t size);

/* The same without replacing bytes, for rewrite requests; free() it. */
char *address_externalize(const char *address);
/* The way back: without quotes and backslashes; free() it. */
char *address_internalize(const char *address);

/*
 * Name of a destination with one recipient per delivery:
 * local part without extension, '@', nexthop, in lower case; free() it.
 */
char *address_mailbox_name(const char *address, const char *nexthop,
                           const char *delimiters);

/* True when text has bytes above 127 and they are valid UTF-8. */
int address_is_utf8(const char *text);

/* True when the local part equals name, in any case of letters. */
int address_local_is(const char *address, const char *name);

/* Change to lower case in place (ASCII letters). */
void address_lower(char *text);

/*
 * VERP: sender of a message to one recipient,
 * local DELIM0 rcptlocal DELIM1 rcptdomain '@' domain; free() it.
 */
char *address_verp(const char *sender, const char *recipient,
                   const char *delimiters);

#endif
