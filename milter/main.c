/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "milter/decision.h"
#include "milter/queues.h"
#include "milter/session.h"
#include "milter/socket.h"
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
    sigaddset(&signals, SIGUSR1); /* ours: libmilter ends on the others */
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

/* The folder of a file. */
static char *folder_of(const char *path)
{
    char *folder = strdup(path);

    if (!folder)
        log_fatal(EX_OSERR, "out of memory");
    *(strrchr(folder, '/') + 1) = '\0';
    return folder;
}

/*
 * No files but the queues', Postfix's queue, the socket and the configuration;
 * before any thread, and after postconf(1) has told its parameters.
 */
static void fence(const struct options *options, const struct files *files)
{
    const struct config *config = &options->config;
    const char *socket = socket_path(config->milter_socket);
    char *folders[2] = {folder_of(socket ? socket : "/"),
                        strchr(options->config_file, '/')
                            ? folder_of(options->config_file)
                            : strdup(".")};
    struct fence_path paths[SYNCQ_FILES_MAX + 3];
    size_t count = 0;
    unsigned i;
    int result;

    for (i = 0; i < files->count; i++)
        paths[count++] = (struct fence_path){files->list[i].directory, 1};
    paths[count++] = (struct fence_path){config->postfix_queue_directory, 0};
    if (folders[1])
        paths[count++] = (struct fence_path){folders[1], 0};
    if (socket)
        paths[count++] = (struct fence_path){folders[0], 1};
    result = fence_queue(config, paths, count);
    free(folders[0]);
    free(folders[1]);
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
 * mail is captured.  Several are opened in the background. */
static void queue_try(struct queues *queues, const struct config *config)
{
    struct candidates candidates;
    char why[QUEUES_OBSTACLE_SIZE], obstacle[QUEUES_OBSTACLE_SIZE + 32];

    if (config->capture != CONFIG_CAPTURE_ON) {
        log_info("capture = %s: mail is left to Postfix",
                 config->capture == CONFIG_CAPTURE_OFF ? "off" : "observe");
        return;
    }
    queues_take(queues, &candidates);
    if (candidates.count == 1 && !candidates.usable) {
        queues_explain(&candidates, why);
        (void)snprintf(obstacle, sizeof(obstacle), "queue unavailable: %s",
                       why);
        queues_report(queues, obstacle);
    }
    queues_put(&candidates);
}

/* The lists of queue files are the only thing that is read again. */
struct reload {
    struct queues *queues;
    const struct options *options;
    int argc;
    char **argv;
    _Atomic int stop;
};

static void *reload_run(void *context)
{
    struct reload *reload = context;
    struct config config;
    struct files files;
    char error[1024];
    sigset_t signals;
    int number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    while (!sigwait(&signals, &number) && !reload->stop) {
        if (options_read_again(reload->argc, reload->argv, reload->options,
                               &config, error, sizeof(error))) {
            log_error("going on as before: %s", error);
            continue;
        }
        if (files_read(&config, &files, error, sizeof(error))) {
            log_error("going on as before: %s", error);
        } else {
            if (queues_change(reload->queues, &files))
                log_error("out of memory");
            log_info("reloaded: %u queue files", files.count);
            files_clear(&files);
        }
        config_clear(&config);
    }
    return NULL;
}

static struct queues *queues_open(const struct options *options)
{
    const struct config *config = &options->config;
    struct queues *queues = NULL;
    struct files files;
    char error[256];
    int result;

    result = files_read(config, &files, error, sizeof(error));
    if (result)
        log_fatal(result, "%s", error);
    fence(options, &files);
    if (queues_new(config, &files, SHARED_QUEUE_RETRY_MS, &queues))
        log_fatal(EX_OSERR, "out of memory");
    files_clear(&files);
    queue_try(queues, config);
    return queues;
}

/* Everything from the bound socket to the last answer. */
static int serve(const struct config *config, struct decision_maker *maker,
                 struct reload *reload)
{
    struct capture_source *source = source_open(config);
    pthread_t thread;
    int failed, reloads;

    maker->source = source;
    maker->queues = reload->queues = queues_open(reload->options);
    reloads = !pthread_create(&thread, NULL, reload_run, reload);
    if (!reloads)
        log_warning("SIGUSR1 will not be heard: no thread for it");

    failed = smfi_main() != MI_SUCCESS;

    if (reloads) {
        reload->stop = 1;
        (void)pthread_kill(thread, SIGUSR1);
        (void)pthread_join(thread, NULL);
    }
    /* Mail that is still waiting for its confirm stays with the helper, and
     * the MTA, without an answer, keeps its own copy or the client does. */
    if (!session_drain(DRAIN_TIME_MS)) {
        log_warning("stopping with mail in work");
        return failed ? EX_SOFTWARE : EX_OK;
    }
    queues_free(maker->queues);
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
    struct reload reload = {.options = &options, .argc = argc, .argv = argv};
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
    result = serve(&options.config, &maker, &reload);
    if (socket_path(options.config.milter_socket))
        (void)unlink(socket_path(options.config.milter_socket));
    options_clear(&options);
    return result;
}
