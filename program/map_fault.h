/* SPDX-License-Identifier: MIT */
/*
 * map_fault.h - a mapped file that is not there any more
 *
 * A store into a mapping of a file that was cut short, or whose blocks the
 * disk cannot give, is a SIGBUS.  Without a handler the process is gone without
 * a word.  With it: one log line, what the program has to do first, and the
 * exit code EX_IOERR.  Anything else that raises SIGBUS stays a crash.
 */
#ifndef SYNCQ_PROGRAM_MAP_FAULT_H
#define SYNCQ_PROGRAM_MAP_FAULT_H

/*
 * From now on, for all threads.  first (may be NULL) is called in the thread
 * that made the store, with the address; it may take no lock that this thread
 * can hold at a store into a mapping.
 */
void map_fault_catch(void (*first)(void *context, const void *address),
                     void *context);

#endif
