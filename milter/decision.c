/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "milter/decision.h"
#include "milter/outcome.h"
#include "module/append.h"
#include "module/error.h"
#include "module/space_report.h"
#include "module/limits.h"
#include "module/state.h"
#include "module/statistics.h"
#include "postfix/queue_file.h"
#include "program/log.h"

/* One mail on its way. */
struct attempt {
    const struct decision_maker *maker;
    const char *queue_id; /* NULL: the MTA did not say */
    const char *name;     /* of the mail in log lines */
    int (*progress)(void *context);
    void *context;
    struct candidates candidates;
    struct syncq_queue *queue; /* of the candidate in work */
    struct capture_mail mail;
    int64_t confirm_us; /* from append to confirm */
};

static int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static enum decision when_unavailable(const struct decision_maker *maker)
{
    return maker->config->when_unavailable == CONFIG_UNAVAILABLE_TEMPFAIL
               ? DECISION_TEMPFAIL
               : DECISION_ACCEPT;
}

static const char *decision_verb(enum decision decision)
{
    return decision == DECISION_TEMPFAIL ? "refused for now" : "let through";
}

static void obstacle_report(const struct decision_maker *maker,
                            const char *what, const char *why)
{
    char text[QUEUES_OBSTACLE_SIZE + 32];

    (void)snprintf(text, sizeof(text), "%s: %s", what, why);
    queues_report(maker->queues, text);
}

/* Which limit refused the mail, in the first file that one did in? */
static enum syncq_limit first_limit(const struct candidates *candidates)
{
    unsigned i;

    for (i = 0; i < candidates->usable; i++) {
        enum syncq_limit limit = syncq_limit_of(candidates->list[i].error);

        if (limit != SYNCQ_LIMIT_COUNT)
            return limit;
    }
    return SYNCQ_LIMIT_COUNT;
}

static enum decision unavailable(struct attempt *attempt)
{
    enum decision decision = when_unavailable(attempt->maker);
    enum syncq_limit limit = first_limit(&attempt->candidates);
    char why[QUEUES_OBSTACLE_SIZE];

    if (attempt->queue)
        syncq_statistics_capture(attempt->queue, OUTCOME_UNAVAILABLE);
    queues_explain(&attempt->candidates, why);
    obstacle_report(attempt->maker, "queue unavailable", why);
    if (limit != SYNCQ_LIMIT_COUNT)
        log_info("%s: %s, outcome=%s, limit=%s, reason=%s", attempt->name,
                 decision_verb(decision), outcome_name(OUTCOME_UNAVAILABLE),
                 syncq_limit_name(limit), why);
    return decision;
}

/* The mail itself cannot be captured; the MTA's own queue takes any mail. */
static enum decision let_through(struct attempt *attempt, enum outcome outcome,
                                 const char *reason)
{
    enum decision decision = outcome == OUTCOME_UNAVAILABLE
                                 ? when_unavailable(attempt->maker)
                                 : DECISION_ACCEPT;

    if (attempt->queue)
        syncq_statistics_capture(attempt->queue, outcome);
    log_info("%s: %s, outcome=%s, reason=%s", attempt->name,
             decision_verb(decision), outcome_name(outcome), reason);
    return decision;
}

static enum decision not_confirmed(struct attempt *attempt, int error)
{
    enum decision decision = when_unavailable(attempt->maker);

    syncq_statistics_capture(attempt->queue, OUTCOME_UNCONFIRMED);
    log_warning("%s: %s, outcome=%s, reason=%s", attempt->name,
                decision_verb(decision), outcome_name(OUTCOME_UNCONFIRMED),
                syncq_strerror(error));
    return decision;
}

static void mail_log(const struct attempt *attempt, enum outcome outcome)
{
    const struct syncq_envelope *envelope = &attempt->mail.envelope;
    const char *size = syncq_envelope_attribute_text(envelope, "size", "0");

    if (outcome == OUTCOME_CAPTURED)
        log_info("%s: captured, size=%s, nrcpt=%u, parts=%u, "
                 "confirm=%" PRId64 "us",
                 attempt->name, size, envelope->recipient_count,
                 envelope->part_count, attempt->confirm_us);
    else
        log_info("%s: %s, size=%s, nrcpt=%u, parts=%u", attempt->name,
                 outcome_name(outcome), size, envelope->recipient_count,
                 envelope->part_count);
}

/*
 * Wait for the confirm.  0: durable.  When time is up or the MTA is gone the
 * record is given up, unless the confirm comes first.
 */
static int confirm_wait(struct attempt *attempt, struct syncq_ticket *ticket)
{
    int64_t left_ms = (int64_t)attempt->maker->config->confirm_timeout_ms;
    int64_t end_us = clock_us() + left_ms * 1000;
    int result;

    for (;;) {
        result = syncq_ticket_wait(
            attempt->queue, ticket,
            left_ms < DECISION_SLICE_MS ? (int)left_ms : DECISION_SLICE_MS);
        if (result != SYNCQ_ERR_TIMEOUT)
            return result;
        left_ms = (end_us - clock_us() + 999) / 1000;
        if (left_ms <= 0 || !attempt->progress(attempt->context))
            break;
    }
    if (syncq_ticket_abandon(attempt->queue, ticket) == SYNCQ_ERR_EXISTS)
        return 0;
    return SYNCQ_ERR_TIMEOUT;
}

/*
 * The parts get their status before the MTA gets its answer: a crash right
 * after this finds them `synced`, and the queue manager then decides by
 * whether the MTA still has the file.
 */
static enum decision mail_finish(struct attempt *attempt,
                                 struct syncq_ticket *ticket, int64_t start_us)
{
    int result = confirm_wait(attempt, ticket);

    if (result) {
        /* It may become durable yet: the manager puts the cancelled parts
         * into the log, so that a lost index does not bring them back.  For
         * the same reason no other queue file is tried. */
        syncq_arrival_send(attempt->queue, ticket);
        syncq_ticket_finish(attempt->queue, ticket, SYNCQ_STATUS_CANCELLED);
        return not_confirmed(attempt, result);
    }
    attempt->confirm_us = clock_us() - start_us;
    syncq_arrival_send(attempt->queue, ticket);
    syncq_ticket_finish(attempt->queue, ticket, SYNCQ_STATUS_SYNCED);
    syncq_statistics_capture(attempt->queue, OUTCOME_CAPTURED);
    queues_report(attempt->maker->queues, NULL);
    mail_log(attempt, OUTCOME_CAPTURED);
    return DECISION_DISCARD;
}

/* The best of them that takes it.  One that refuses has nothing of it. */
static enum decision mail_append(struct attempt *attempt)
{
    struct iovec content = {attempt->mail.content, attempt->mail.content_size};
    struct candidates *candidates = &attempt->candidates;
    int large = 0, refused = 0;
    unsigned i;

    for (i = 0; i < candidates->usable; i++) {
        struct candidate *candidate = &candidates->list[i];
        struct syncq_ticket ticket = {0};
        int64_t start_us = clock_us();

        if (*candidate->gate)
            continue;
        attempt->queue = candidate->queue;
        candidate->error =
            syncq_append(candidate->queue, attempt->mail.type,
                         &attempt->mail.envelope, &content, 1, &ticket);
        if (!candidate->error)
            return mail_finish(attempt, &ticket, start_us);
        if (candidate->error == SYNCQ_ERR_TOO_LARGE ||
            candidate->error == SYNCQ_ERR_RECIPIENTS ||
            candidate->error == SYNCQ_ERR_RANGE)
            large = candidate->error;
        else
            refused = 1;
    }
    if (large && !refused && candidates->usable == candidates->count)
        return let_through(attempt, OUTCOME_TOO_LARGE, syncq_strerror(large));
    return unavailable(attempt);
}

/* Which of the usable ones may capture?  The largest mail that one can take,
 * or 0: none may. */
static uint64_t gates_look(struct candidates *candidates)
{
    uint64_t size_max = 0;
    unsigned i;

    for (i = 0; i < candidates->usable; i++) {
        struct candidate *candidate = &candidates->list[i];

        if (!syncq_gate_get(candidate->queue, candidate->gate)) {
            if (!*candidate->gate)
                strcpy(candidate->gate, "no reason given");
            continue;
        }
        *candidate->gate = 0;
        if (candidate->message_size_max > size_max)
            size_max = candidate->message_size_max;
    }
    return size_max;
}

static enum decision mail_capture(struct attempt *attempt,
                                  const struct mail_event *event)
{
    struct candidates *candidates = &attempt->candidates;
    const struct capture_source *source = attempt->maker->source;
    struct capture_request request = {.queue_id = attempt->queue_id,
                                      .event = event};
    char reason[CAPTURE_REASON_SIZE] = "";
    enum outcome outcome;
    enum decision decision;

    if (!candidates->usable)
        return unavailable(attempt);
    attempt->queue = candidates->list[0].queue;
    request.size_max = gates_look(candidates);
    if (!request.size_max) {
        syncq_statistics_capture(attempt->queue, OUTCOME_GATED);
        obstacle_report(attempt->maker, outcome_name(OUTCOME_GATED),
                        candidates->list[0].gate);
        return DECISION_ACCEPT;
    }
    outcome = source->read(source, &request, &attempt->mail, reason);
    if (outcome != OUTCOME_CAPTURED)
        return let_through(attempt, outcome, reason);
    decision = mail_append(attempt);
    capture_mail_clear(&attempt->mail);
    return decision;
}

/* A dry run needs no queue: all but the append is done. */
static enum decision mail_observe(struct attempt *attempt,
                                  const struct mail_event *event)
{
    struct capture_request request = {
        .queue_id = attempt->queue_id,
        .event = event,
        .size_max = SYNCQ_SEGMENT_SIZE_MAX,
    };
    const struct capture_source *source = attempt->maker->source;
    char reason[CAPTURE_REASON_SIZE] = "";
    enum outcome outcome;

    outcome = source->read(source, &request, &attempt->mail, reason);
    if (outcome != OUTCOME_CAPTURED) {
        (void)let_through(attempt, outcome, reason);
    } else {
        mail_log(attempt, OUTCOME_OBSERVED);
        capture_mail_clear(&attempt->mail);
    }
    return DECISION_ACCEPT;
}

enum decision decision_make(const struct decision_maker *maker,
                            const char *queue_id,
                            const struct mail_event *event,
                            int (*progress)(void *context), void *context)
{
    struct attempt attempt = {
        .maker = maker,
        .queue_id = queue_id,
        .name = queue_id && queue_id_valid(queue_id) ? queue_id : "NOQUEUE",
        .progress = progress,
        .context = context,
    };
    enum decision decision;

    if (maker->config->capture == CONFIG_CAPTURE_OFF)
        return DECISION_ACCEPT;
    if (maker->config->capture == CONFIG_CAPTURE_OBSERVE)
        return mail_observe(&attempt, event);
    queues_take(maker->queues, &attempt.candidates);
    decision = mail_capture(&attempt, event);
    queues_put(&attempt.candidates);
    return decision;
}
