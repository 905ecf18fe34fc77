/* SPDX-License-Identifier: MIT */
/*
 * main.c - syncq-qmgr, in the place of Postfix's queue manager
 *
 * Started by master(8) as root in Postfix's queue directory, with its sockets
 * from descriptor 3 on.  The order below matters: directories and descriptors
 * that need root first, then the mail owner, then the lock that an old manager
 * may still hold, then the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "postfix/queue_file.h"
#include "program/log.h"
#include "program/map_fault.h"
#include "program/privilege.h"
#include "qmgr/arguments.h"
#include "qmgr/backlogs.h"
#include "qmgr/control.h"
#include "qmgr/delivery_file.h"
#include "qmgr/drain.h"
#include "qmgr/gate.h"
#include "qmgr/guard.h"
#include "qmgr/importer.h"
#include "qmgr/memory.h"
#include "qmgr/resolver.h"
#include "qmgr/retry.h"
#include "qmgr/scheduler.h"
#include "qmgr/service.h"
#include "qmgr/stop.h"
#include "qmgr/taken.h"

#define MAIN_LOCK_WAIT_MS 50
#define MAIN_LOCK_WARN_S  5
#define MAIN_TAG_SIZE     256

/* As Postfix's daemons: MAIL_LOGTAG, else syslog_name, then our old name. */
static void main_open_log(const struct settings *settings)
{
    const char *name = getenv("MAIL_LOGTAG");
    const char *facility = "mail";
    char tag[MAIN_TAG_SIZE];

    if (settings != NULL) {
        facility =
            parameters_text(settings->parameters, "syslog_facility", "mail");
        if (name == NULL)
            name =
                parameters_text(settings->parameters, "syslog_name", "postfix");
    }
    (void)snprintf(tag, sizeof(tag), "%s/qmgr",
                   name != NULL ? name : "postfix");
    log_open(tag, facility, 0);
}

/* Nothing that a new start at once could change. */
static void main_fail(int exit_code, const char *error)
{
    log_error("%s", error);
    (void)fprintf(stderr, "syncq-qmgr: %s\n", error); /* when run by hand */
    service_fail(exit_code);
}

/* Deliveries and files under way each need one. */
static void main_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Directories for the agents' files; setup may have mounted a tmpfs. */
static void main_make_directories(const struct settings *settings)
{
    static const char *const names[] = {DELIVERY_FILE_DIRECTORY,
                                        DELIVERY_FILE_ON_DISK};
    const char *owner =
        parameters_text(settings->parameters, "mail_owner", "postfix");
    const struct passwd *user = getpwnam(owner);
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mkdir(names[i], 0700) != 0)
            continue; /* it is there, or the first file will tell */
        if (user != NULL && geteuid() == 0 &&
            chown(names[i], user->pw_uid, user->pw_gid) != 0)
            log_warning("give directory %s to %s: %s", names[i], owner,
                        strerror(errno));
    }
}

static void main_become_owner(const struct settings *settings)
{
    const char *owner =
        parameters_text(settings->parameters, "mail_owner", "postfix");
    char error[256];
    int result = privilege_drop(owner, error, sizeof(error));

    if (result != 0)
        main_fail(result, error);
}

/*
 * One manager in this Postfix queue directory.  The old one ends within 3 s of
 * its signal; an agent does not inherit the descriptor.
 */
static void main_lock(void)
{
    const struct timespec wait = {0, MAIN_LOCK_WAIT_MS * 1000000L};
    time_t start = time(NULL);
    int warned = 0;
    int fd = open(DELIVERY_FILE_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        log_fatal(EX_UNAVAILABLE, "open directory %s: %s",
                  DELIVERY_FILE_DIRECTORY, strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            log_fatal(EX_OSERR, "lock directory %s: %s",
                      DELIVERY_FILE_DIRECTORY, strerror(errno));
        if (!warned && time(NULL) - start >= MAIN_LOCK_WARN_S) {
            log_warning("waiting for an older queue manager to end");
            warned = 1;
        }
        (void)nanosleep(&wait, NULL);
    }
    /* The lock lasts as long as the process: fd stays open. */
}

static void main_on_term(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    stop_now(context, 1);
}

static void main_on_hup(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    drain_start(context);
}

static void main_on_child(int fd, short events, void *context)
{
    (void)fd;
    (void)events;
    (void)context;
    guard_on_child();
}

static void main_keep_from_children(const struct arguments *arguments)
{
    int fd;

    for (fd = SERVICE_FLOW_READ;
         fd < SERVICE_LISTEN + (int)arguments->listen_count; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void main_catch_signals(struct qmgr *qmgr)
{
    struct event *term = evsignal_new(qmgr->base, SIGTERM, main_on_term, qmgr);
    struct event *child =
        evsignal_new(qmgr->base, SIGCHLD, main_on_child, NULL);
    struct event *hup = evsignal_new(qmgr->base, SIGHUP, main_on_hup, qmgr);

    (void)signal(SIGPIPE, SIG_IGN);
    if (term == NULL || hup == NULL || child == NULL ||
        event_add(term, NULL) != 0 || event_add(hup, NULL) != 0 ||
        event_add(child, NULL) != 0)
        log_fatal(EX_OSERR, "cannot catch signals");
}

static void main_prepare(struct qmgr *qmgr, const struct arguments *arguments)
{
    char error[256];
    int result;

    main_open_log(NULL);
    qmgr->config_directory = getenv("MAIL_CONFIG");
    qmgr->overrides = arguments->overrides;
    result =
        settings_load(qmgr->config_directory, qmgr->overrides, &qmgr->settings);
    if (result != 0) {
        (void)snprintf(error, sizeof(error),
                       "cannot read Postfix's configuration: %s",
                       queue_file_strerror(result));
        main_fail(EX_CONFIG, error);
    }
    main_open_log(&qmgr->settings);
    result = config_read(arguments_config_file(arguments), &qmgr->config, error,
                         sizeof(error));
    if (result != 0)
        main_fail(result, error);
    main_make_directories(&qmgr->settings);
    if (geteuid() == 0)
        main_become_owner(&qmgr->settings);
}

static void main_start(struct qmgr *qmgr, const struct arguments *arguments)
{
    qmgr->base = event_base_new();
    if (qmgr->base == NULL)
        log_fatal(EX_OSERR, "cannot make an event loop");
    main_catch_signals(qmgr);
    (void)backlogs_new(qmgr);
    qmgr->taken = taken_new(&qmgr->backlogs->files);
    qmgr->files = delivery_files_new();
    qmgr->retry = retry_new(qmgr);
    qmgr->resolver = resolver_new(qmgr);
    qmgr->scheduler = scheduler_new(qmgr);
    qmgr->gate = gate_new();
    gate_read(qmgr);
    qmgr->importer = importer_new(qmgr);
    backlogs_start(qmgr->backlogs);
    qmgr->control = control_new(qmgr);
    qmgr->service =
        service_new(qmgr, arguments->listen_count, arguments->is_fifo);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct qmgr qmgr = {0};
    char error[256];
    int result;

    log_open("postfix/qmgr", "mail", 0);
    map_fault_catch(NULL, NULL);
    service_report();
    result = arguments_parse(argc, argv, &arguments, error, sizeof(error));
    if (result != 0)
        main_fail(result, error);
    if (!arguments.sole) {
        main_fail(EX_USAGE, "this is a service of Postfix's master(8) and "
                            "needs a process limit of 1 in master.cf");
    }
    main_keep_from_children(&arguments);
    main_raise_limits();
    srandom((unsigned)(time(NULL) ^ getpid()));
    main_prepare(&qmgr, &arguments);
    guard_start(argc, argv);
    main_lock();
    main_start(&qmgr, &arguments);
    (void)event_base_dispatch(qmgr.base);
    log_fatal(EX_SOFTWARE, "the event loop has ended");
}
