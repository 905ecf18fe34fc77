/* SPDX-License-Identifier: MIT */
/*
 * syncq-sync - makes appended mail durable, many at a time
 *
 * With one queue file this process serves it.  With several it starts one for
 * each and looks after them.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "module/error.h"
#include "program/fence.h"
#include "program/log.h"
#include "program/map_fault.h"
#include "program/options.h"
#include "program/privilege.h"
#include "sync-helper/helper.h"
#include "sync-helper/roster.h"
#include "sync-helper/worker.h"

static struct helper helper;

static void *wait_for_signal(void *context)
{
    sigset_t *signals = context;
    int number;

    log_set_subject(helper.subject);
    for (;;) {
        if (sigwait(signals, &number) != 0)
            continue;
        if (number == WORKER_SIGNAL_DRAIN || number == WORKER_SIGNAL_USE)
            atomic_store(&helper.channel->draining,
                         number == WORKER_SIGNAL_DRAIN);
        else if (number == SIGHUP)
            log_warning("not reloaded: to add queue files to one that was "
                        "alone, start syncq-sync again");
        else if (number != SIGCHLD)
            break;
    }
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

/* One queue file, in this process. */
static int serve_one(const struct config *config, sigset_t *signals)
{
    int code = fence_queue(config, NULL, 0); /* before any thread */

    map_fault_catch(helper_map_fault, &helper);
    if (code == 0)
        code = helper_open(&helper, config);
    if (code != 0)
        return code;
    /* A channel that was taken over may say otherwise. */
    atomic_store(&helper.channel->draining, (uint32_t)helper.drain);
    start_signal_thread(signals);
    if (batch_run(&helper) != 0) {
        log_error("out of memory");
        code = EX_OSERR;
    }
    if (atomic_load(&helper.removed))
        code = EX_TEMPFAIL; /* start it again */
    helper_close(&helper);
    return code;
}

/*
 * Is it the only one that was ever in use?  Then it is served here, and its
 * set says so, for the day when it is not in the list any more.
 */
static int is_alone(const struct config *config, const struct files *files)
{
    const char *directory = files->list[0].directory;
    uint8_t uuid[SYNCQ_UUID_SIZE];
    struct syncq_set set;
    uint64_t generation;
    int result, alone = 1;

    if (*config->queue_files || *config->drain_files)
        return 0;
    /* What is wrong with the queue is for the helper to say. */
    if (syncq_set_read(directory, &set) != 0)
        return 1;
    if (syncq_queue_uuid(directory, uuid) == 0) {
        generation = set.generation;
        result = syncq_set_put(&set, uuid, directory, SYNCQ_SET_USED);
        if (result == 0 && set.count == 1 && set.generation != generation)
            result = syncq_set_write(directory, &set);
        if (result != 0)
            log_warning("queue %s: cannot write %s: %s", directory,
                        SYNCQ_SET_FILE, syncq_strerror(result));
        alone = set.count == 1;
    }
    syncq_set_clear(&set);
    return alone;
}

static void reload(struct roster *roster, int argc, char **argv,
                   const struct options *options)
{
    struct config config;
    struct files files;
    char error[1024];

    if (options_read_again(argc, argv, options, &config, error, sizeof error) !=
        0) {
        log_error("going on as before: %s", error);
        return;
    }
    if (files_read(&config, &files, error, sizeof error) != 0) {
        log_error("going on as before: %s", error);
    } else {
        log_info("reloaded: %u queue files", files.count);
        roster_change(roster, &files);
        files_clear(&files);
    }
    config_clear(&config);
}

/* All threads block the signals; here they are waited for. */
static void serve_all(int argc, char **argv, const struct options *options,
                      const struct files *files, const sigset_t *signals)
{
    struct roster roster;
    int number = 0;

    roster_start(&roster, &options->config, argv, files);
    for (;;) {
        if (sigwait(signals, &number) != 0)
            continue;
        if (number == SIGCHLD)
            roster_reap(&roster);
        else if (number == SIGHUP || number == SIGUSR1)
            reload(&roster, argc, argv, options);
        else if (number != SIGUSR2)
            break;
    }
    roster_stop(&roster);
    log_info("stopped");
}

static int serve(int argc, char **argv, struct options *options,
                 sigset_t *signals)
{
    struct files files;
    char error[256];
    int code;

    if (worker_is(&helper.drain)) {
        helper.subject = options->config.queue_directory;
        log_set_subject(helper.subject);
        return serve_one(&options->config, signals);
    }
    code = files_read(&options->config, &files, error, sizeof error);
    if (code != 0)
        log_fatal(code, "%s", error);
    if (is_alone(&options->config, &files))
        code = serve_one(&options->config, signals);
    else
        serve_all(argc, argv, options, &files, signals);
    files_clear(&files);
    return code;
}

static void block_signals(sigset_t *signals)
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,
                                  SIGCHLD, SIGUSR1, SIGUSR2};

    (void)sigemptyset(signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        (void)sigaddset(signals, numbers[i]);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
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
    block_signals(&signals);
    code = serve(argc, argv, &options, &signals);
    options_clear(&options);
    return code;
}
