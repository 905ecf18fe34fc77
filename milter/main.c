/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libmilter/mfapi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "milter/decision.h"
#include "milter/queue_watch.h"
#include "milter/session.h"
#include "milter/socket.h"
#include "module/error.h"
#include "postfix/parameters.h"
#include "program/fence.h"
#include "program/log.h"
#include "program/map_fault.h"
#include "program/options.h"
#include "program/privilege.h"

#define DATA_SIZE_MAX                                                          \
    (1 << 20) /* bytes: one command of the MTA; 64 KiB, the                    \
                 default, is less than a header can have */
#define DRAIN_TIME_MS 10000

static const struct options_text text = {
    .program = "syncq-milter",
    .summary = "Take each accepted mail out of Postfix into the syncq queue.",
    .arguments = NULL,
    .details = NULL,
};

/*
 * libmilter waits for these in a thread of its own; any thread that is made
 * before it must not be killed by them.
 */
static void signals_block(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* One descriptor for each session of each smtpd process. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* else the default must do */
}

/*
 * A socket file must belong to the mail owner, so that a successor can remove
 * it; a port may need root.
 */
static void socket_and_rights(const struct config *config)
{
    char error[512];
    int result = 0;

    if (!*config->milter_socket)
        log_fatal(EX_CONFIG, "milter_socket is not set");
    (void)smfi_setmaxdatasize(DATA_SIZE_MAX);
    if (!socket_path(config->milter_socket))
        result = socket_open(config->milter_socket, error, sizeof(error));
    if (!result)
        result = privilege_drop(config->mail_owner, error, sizeof(error));
    if (!result && socket_path(config->milter_socket))
        result = socket_open(config->milter_socket, error, sizeof(error));
    if (result)
        log_fatal(result, "%s", error);
}

/* No files but the queue's, Postfix's queue and the socket; before any thread,
 * and after postconf(1) has told its parameters. */
static void fence(const struct config *config)
{
    char *directory = strdup(socket_path(config->milter_socket)
                                 ? socket_path(config->milter_socket)
                                 : "/");
    struct fence_path paths[] = {{config->postfix_queue_directory, 0},
                                 {directory, 1}};
    int result;

    if (!directory)
        log_fatal(EX_OSERR, "out of memory");
    *(strrchr(directory, '/') + 1) = '\0';
    result =
        fence_queue(config, paths, socket_path(config->milter_socket) ? 2 : 1);
    free(directory);
    if (result)
        exit(result);
}

static struct capture_source *source_open(const struct config *config)
{
    struct capture_source *source = NULL;
    struct parameters *parameters = NULL;
    const char *directory;
    int result;

    result = parameters_load(*config->postfix_config_directory
                                 ? config->postfix_config_directory
                                 : NULL,
                             &parameters);
    if (result)
        log_fatal(EX_UNAVAILABLE, "cannot read Postfix's parameters: %s",
                  strerror(result));
    directory = parameters_text(parameters, "queue_directory", "");
    if (strcmp(directory, config->postfix_queue_directory))
        log_warning("postfix_queue_directory is %s, but Postfix uses %s",
                    config->postfix_queue_directory, directory);
    result = capture_queue_file_new(config->postfix_queue_directory, parameters,
                                    &source);
    if (result)
        log_fatal(EX_NOINPUT, "%s: %s", config->postfix_queue_directory,
                  strerror(result));
    parameters_free(parameters);
    return source;
}

/* The first attempt to open the queue, so that the log says at once whether
 * mail is captured. */
static void queue_try(struct shared_queue *shared, const struct config *config)
{
    struct syncq_queue *queue;
    char obstacle[256];
    uint64_t message_size_max;
    int result;

    if (config->capture != CONFIG_CAPTURE_ON) {
        log_info("capture = %s: mail is left to Postfix",
                 config->capture == CONFIG_CAPTURE_OFF ? "off" : "observe");
        return;
    }
    result = shared_queue_take(shared, &queue, &message_size_max);
    if (!result)
        shared_queue_put(shared);
    if (result) {
        (void)snprintf(obstacle, sizeof(obstacle), "queue unavailable: %s",
                       syncq_strerror(result));
        shared_queue_report(shared, obstacle);
    }
}

/* Everything from the bound socket to the last answer. */
static int serve(const struct config *config, struct decision_maker *maker)
{
    struct capture_source *source = source_open(config);
    struct queue_watch *watch = NULL;
    int failed;

    fence(config);
    maker->source = source;
    if (shared_queue_new(config->queue_directory, config->run_directory,
                         SHARED_QUEUE_RETRY_MS, &maker->queue) ||
        queue_watch_new(maker->queue, SHARED_QUEUE_RETRY_MS, &watch))
        log_fatal(EX_OSERR, "out of memory");
    queue_try(maker->queue, config);

    failed = smfi_main() != MI_SUCCESS;

    /* Mail that is still waiting for its confirm stays with the helper, and
     * the MTA, without an answer, keeps its own copy or the client does. */
    if (!session_drain(DRAIN_TIME_MS)) {
        log_warning("stopping with mail in work");
        return failed ? EX_SOFTWARE : EX_OK;
    }
    queue_watch_free(watch);
    shared_queue_free(maker->queue);
    capture_source_free(source);
    if (failed)
        log_error("libmilter gave up");
    else
        log_info("stopped");
    return failed ? EX_SOFTWARE : EX_OK;
}

int main(int argc, char **argv)
{
    struct decision_maker maker = {.config = NULL};
    struct options options;
    char tag[64];
    int result = options_parse(argc, argv, &text, &options);

    if (result)
        return result == OPTIONS_DONE ? EX_OK : result;
    (void)snprintf(tag, sizeof(tag), "%s/milter", options.config.syslog_name);
    log_open(tag, options.config.syslog_facility, options.to_stderr);
    map_fault_catch(NULL, NULL);
    signals_block();
    descriptors_raise();
    maker.config = &options.config;
    if (!session_register(&maker)) /* before there is a socket */
        log_fatal(EX_SOFTWARE, "libmilter refused the callbacks");
    socket_and_rights(&options.config);
    result = serve(&options.config, &maker);
    if (socket_path(options.config.milter_socket))
        (void)unlink(socket_path(options.config.milter_socket));
    options_clear(&options);
    return result;
}
