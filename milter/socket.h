/* SPDX-License-Identifier: MIT */
/*
 * socket.h - the address at which the MTA reaches the milter
 */
#ifndef SYNCQ_MILTER_SOCKET_H
#define SYNCQ_MILTER_SOCKET_H

#include <stddef.h>

/* The path of unix:PATH, or NULL for any other address. */
const char *socket_path(const char *address);

/*
 * Bind and listen at unix:PATH or inet:PORT@HOST.  A socket file is made with
 * mode 0660, over one that a dead milter left.  0, or a sysexits code with one
 * line in error: the address is bad, in use, or its directory refuses us.
 */
int socket_open(const char *address, char *error, size_t error_size);

#endif
