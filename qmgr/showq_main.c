/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "program/log.h"
#include "program/privilege.h"
#include "qmgr/arguments.h"
#include "qmgr/showq.h"
#include "qmgr/showq_service.h"

#define ERROR_SIZE 1024 /* bytes: one line */
#define TAG_SIZE   128

#define MAX_IDLE_S 100 /* what main.cf has when it says nothing */
#define MAX_USE    100

/* Log analysers look for "postfix/showq", whatever our file is called. */
static void open_log(const char *syslog_name, const char *facility)
{
    const char *given = getenv("MAIL_LOGTAG");
    char tag[TAG_SIZE];

    (void)snprintf(tag, sizeof(tag), "%s/showq",
                   given != NULL && *given != '\0' ? given : syslog_name);
    log_open(tag, facility, 0);
}

/*
 * postconf warns about our own name in master.cf.  Stand-alone, standard error
 * is that of whoever typed mailq, and postqueue has read main.cf before us.
 */
static int load_quietly(struct showq *showq, const struct arguments *arguments)
{
    int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int result;

    if (kept >= 0 && nowhere >= 0)
        (void)dup2(nowhere, STDERR_FILENO);
    result = settings_load(getenv("MAIL_CONFIG"), arguments->overrides,
                           &showq->settings);
    if (kept >= 0) {
        (void)dup2(kept, STDERR_FILENO);
        close(kept);
    }
    if (nowhere >= 0)
        close(nowhere);
    return result;
}

static void load_settings(struct showq *showq,
                          const struct arguments *arguments)
{
    const struct parameters *parameters;
    char error[ERROR_SIZE];
    int result;

    result = load_quietly(showq, arguments);
    if (result != 0)
        log_fatal(EX_CONFIG, "cannot read Postfix's configuration: %s",
                  strerror(result));
    parameters = showq->settings.parameters;
    open_log(parameters_text(parameters, "syslog_name", "postfix"),
             parameters_text(parameters, "syslog_facility", "mail"));
    if (config_read(arguments_config_file(arguments), &showq->config, error,
                    sizeof(error)) != 0)
        log_fatal(EX_CONFIG, "%s", error);
}

static void enter(const struct showq *showq, const struct arguments *arguments)
{
    const char *directory = parameters_text(
        showq->settings.parameters, "queue_directory", "/var/spool/postfix");
    char error[ERROR_SIZE];
    int result;

    if (arguments->chroot)
        log_fatal(EX_CONFIG, "cannot see the queue from a chroot jail; in "
                             "master.cf set chroot to n for showq");
    if (chdir(directory) != 0)
        log_fatal(EX_CONFIG, "%s: %s", directory, strerror(errno));
    if (!arguments->drop)
        return;
    result = privilege_drop(showq->config.mail_owner, error, sizeof(error));
    if (result != 0)
        log_fatal(result, "%s", error);
}

static void list(int fd, void *context)
{
    struct showq *showq = context;
    struct showq_output output = {
        .fd = fd,
        .version = showq->settings.version,
        .null_address =
            parameters_text(showq->settings.parameters,
                            "empty_address_recipient", "MAILER-DAEMON"),
    };

    showq_list(showq, &output);
}

int main(int argc, char **argv)
{
    struct showq showq = {0};
    struct arguments arguments;
    const struct parameters *parameters;
    char error[ERROR_SIZE];

    open_log("postfix", "mail");
    (void)signal(SIGPIPE, SIG_IGN);
    if (arguments_parse(argc, argv, &arguments, error, sizeof(error)) != 0)
        log_fatal(EX_USAGE, "%s", error);
    load_settings(&showq, &arguments);
    enter(&showq, &arguments);
    parameters = showq.settings.parameters;
    if (arguments.standalone)
        list(STDOUT_FILENO, &showq);
    else
        showq_service_run(
            parameters_time_s(parameters, "max_idle", 's', MAX_IDLE_S),
            parameters_number(parameters, "max_use", MAX_USE), list, &showq);
    settings_clear(&showq.settings);
    config_clear(&showq.config);
    arguments_clear(&arguments);
    return 0;
}
