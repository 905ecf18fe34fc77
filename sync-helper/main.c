/* SPDX-License-Identifier: MIT */
/*
 * syncq-sync - makes appended mail durable, many at a time
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "program/fence.h"
#include "program/log.h"
#include "program/map_fault.h"
#include "program/options.h"
#include "program/privilege.h"
#include "sync-helper/helper.h"

static struct helper helper;

static void *wait_for_signal(void *context)
{
    sigset_t *signals = context;
    int number;

    while (sigwait(signals, &number) != 0)
        ;
    atomic_store(&helper.stop, 1);
    syncq_channel_ring(helper.channel);
    return NULL;
}

/* Signals go to one thread that waits for them; all others block them. */
static void start_signal_thread(sigset_t *signals)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, wait_for_signal, signals) == 0)
        (void)pthread_detach(thread);
}

int main(int argc, char **argv)
{
    static const struct options_text text = {
        .program = "syncq-sync",
        .summary = "sync helper: recovers the queue, then makes appended mail "
                   "durable in batches",
    };
    static sigset_t signals;
    struct options options;
    char error[256], tag[64];
    int code = options_parse(argc, argv, &text, &options);

    if (code != 0)
        return code == OPTIONS_DONE ? 0 : code;
    (void)snprintf(tag, sizeof tag, "%s/sync", options.config.syslog_name);
    log_open(tag, options.config.syslog_facility, options.to_stderr);
    code = privilege_drop(options.config.mail_owner, error, sizeof error);
    if (code != 0)
        log_fatal(code, "%s", error);
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    code = fence_queue(&options.config, NULL, 0); /* before any thread */
    map_fault_catch(helper_map_fault, &helper);
    if (code == 0)
        code = helper_open(&helper, &options.config);
    if (code == 0) {
        start_signal_thread(&signals);
        if (batch_run(&helper) != 0) {
            log_error("out of memory");
            code = EX_OSERR;
        }
        if (atomic_load(&helper.removed))
            code = EX_TEMPFAIL; /* start it again */
        helper_close(&helper);
    }
    options_clear(&options);
    return code;
}
