/* SPDX-License-Identifier: MIT */
/*
 * map_fault.c - the handler runs in the middle of a store of our own, not of
 * the C library's, so what it calls finds no lock of its own thread taken.
 */
#include "program/map_fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/log.h"

static struct {
    void (*first)(void *context, const void *address);
    void *context;
    atomic_flag entered;
} fault = {.entered = ATOMIC_FLAG_INIT};

static void on_fault(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    if (info->si_code != BUS_ADRERR) {
        (void)signal(number, SIG_DFL); /* the store comes again, and kills */
        return;
    }
    while (atomic_flag_test_and_set(&fault.entered))
        (void)pause(); /* another thread is ending the process */
    log_error("a mapped file of the queue was cut short, or the disk cannot "
              "read it: stopping");
    if (fault.first != NULL)
        fault.first(fault.context, info->si_addr);
    _exit(EX_IOERR);
}

void map_fault_catch(void (*first)(void *context, const void *address),
                     void *context)
{
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | SA_NODEFER};

    fault.first = first;
    fault.context = context;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL); /* cannot fail for SIGBUS */
}
