/* SPDX-License-Identifier: MIT */
#include "qmgr/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "module/queue.h"
#include "postfix/postconf.h"
#include "program/log.h"
#include "qmgr/context.h"
#include "qmgr/gate_hold.h"
#include "qmgr/gate_milters.h"
#include "qmgr/memory.h"

struct gate {
    char reason[SYNCQ_GATE_TEXT_SIZE];
};

/* Parameters of smtpd(8) and cleanup(8) that can name a table with HOLD. */
static const char *const gate_hold_parameters[] = {
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "body_checks",
    "smtpd_restriction_classes",
};

static const char *const gate_milter_parameters[] = {"smtpd_milters",
                                                     "non_smtpd_milters"};

struct gate *gate_new(void)
{
    struct gate *gate = memory_new(sizeof(*gate));

    (void)snprintf(gate->reason, sizeof(gate->reason),
                   "the configuration has not been read yet");
    return gate;
}

void gate_free(struct gate *gate)
{
    free(gate);
}

const char *gate_reason(const struct gate *gate)
{
    return gate->reason;
}

/* The first reason counts; where is "" for main.cf, else a service. */
static void gate_close(struct gate *gate, const char *where, const char *name,
                       const char *what)
{
    if (gate->reason[0] == '\0')
        (void)snprintf(gate->reason, sizeof(gate->reason), "%s%s%s: %s", where,
                       *where != '\0' ? " " : "", name, what);
}

static int gate_name_is_in(const char *name, const char *const *names,
                           size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return 1;
    }
    return 0;
}

/* Tables of restriction classes that the administrator has defined. */
static void gate_check_classes(struct qmgr *qmgr, const char *where,
                               const char *classes)
{
    char *copy = memory_text(classes);
    char *rest;
    char *name;
    char table[SYNCQ_GATE_TEXT_SIZE];

    for (name = strtok_r(copy, ", \t\r\n", &rest); name != NULL;
         name = strtok_r(NULL, ", \t\r\n", &rest)) {
        const char *value =
            parameters_text(qmgr->settings.parameters, name, "");

        if (gate_hold_find(value, table, sizeof(table)))
            gate_close(qmgr->gate, where, name, "can HOLD mail");
    }
    free(copy);
}

static void gate_check_milter_maps(struct gate *gate, const char *where,
                                   const char *value)
{
    /* Its tables name milters for single clients: nobody can know which. */
    if (*value != '\0')
        gate_close(gate, where, "smtpd_milter_maps",
                   "other milters for some clients");
}

/* One parameter, of main.cf or of a service in master.cf. */
static void gate_check(struct qmgr *qmgr, const char *where, const char *name,
                       const char *value)
{
    char table[SYNCQ_GATE_TEXT_SIZE];

    if (strcmp(name, "milter_header_checks") == 0) {
        if (*value != '\0')
            gate_close(qmgr->gate, where, name, "is set");
    } else if (strcmp(name, "smtpd_milter_maps") == 0) {
        gate_check_milter_maps(qmgr->gate, where, value);
    } else if (strcmp(name, "smtpd_restriction_classes") == 0) {
        gate_check_classes(qmgr, where, value);
    } else if (gate_name_is_in(name, gate_milter_parameters,
                               sizeof(gate_milter_parameters) /
                                   sizeof(gate_milter_parameters[0]))) {
        if (gate_milters_follow(value, qmgr->config.milter_socket,
                                qmgr->config.postfix_queue_directory))
            gate_close(qmgr->gate, where, name, "another milter after syncq's");
    } else if (gate_name_is_in(name, gate_hold_parameters,
                               sizeof(gate_hold_parameters) /
                                   sizeof(gate_hold_parameters[0])) &&
               gate_hold_find(value, table, sizeof(table))) {
        gate_close(qmgr->gate, where, name, "can HOLD mail");
        log_info("%s: %s can HOLD mail", name, table);
    }
}

static void gate_check_main(struct qmgr *qmgr)
{
    const struct parameters *p = qmgr->settings.parameters;
    static const char *const others[] = {"milter_header_checks",
                                         "smtpd_milter_maps"};
    size_t i;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        gate_check(qmgr, "", others[i], parameters_text(p, others[i], ""));
    for (i = 0; i < 2; i++)
        gate_check(qmgr, "", gate_milter_parameters[i],
                   parameters_text(p, gate_milter_parameters[i], ""));
    for (i = 0;
         i < sizeof(gate_hold_parameters) / sizeof(gate_hold_parameters[0]);
         i++)
        gate_check(qmgr, "", gate_hold_parameters[i],
                   parameters_text(p, gate_hold_parameters[i], ""));
}

/* `postconf -P` prints "service/type/parameter = value". */
static void gate_check_services(struct qmgr *qmgr, char *text)
{
    char *rest;
    char *line;

    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strstr(line, " =");
        char *name;

        if (equals == NULL)
            continue;
        *equals = '\0';
        name = strrchr(line, '/');
        if (name == NULL)
            continue;
        *name++ = '\0';
        equals += 2;
        equals += strspn(equals, " ");
        gate_check(qmgr, line, name, equals);
    }
}

void gate_read(struct qmgr *qmgr)
{
    static const char *const arguments[] = {"-x", "-P", NULL};
    char *text = NULL;

    qmgr->gate->reason[0] = '\0';
    gate_check_main(qmgr);
    if (postconf_run(qmgr->config_directory, arguments, &text) == 0)
        gate_check_services(qmgr, text);
    else
        gate_close(qmgr->gate, "", "master.cf", "cannot be read");
    free(text);
    if (qmgr->gate->reason[0] != '\0')
        log_warning("captures are refused: %s", qmgr->gate->reason);
}

void gate_apply(struct gate *gate, struct syncq_queue *queue)
{
    if (queue != NULL)
        syncq_gate_set(queue, gate->reason);
}
