/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "tests/cmocka_all.h"
#include "tests/faults/errors.h"

enum { WAIT_MS = 10000, MARK_EACH = 3 };

static int channel_failed(struct syncq_queue *queue)
{
    return atomic_load(&queue->handle.channel->state) == SYNCQ_CHANNEL_FAILED;
}

/* Wait for a confirm and give the ticket back; a confirm of what was appended
 * after the failure is one that no sync stands for. */
static int finish(struct load *load, struct syncq_queue *queue,
                  struct syncq_ticket *ticket)
{
    int result = syncq_ticket_wait(queue, ticket, WAIT_MS);

    if (result == 0 && load->failed_before)
        findings_add(load->findings, FINDING_LOST, load->text,
                     "confirmed after a sync had failed");
    if (result == SYNCQ_ERR_TIMEOUT)
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "nobody answers a writer");
    syncq_ticket_finish(queue, ticket, SYNCQ_STATUS_SYNCED);
    return result;
}

static void deliver(struct load *load, struct syncq_queue *queue,
                    const struct mail *mail)
{
    struct syncq_entry_view view;
    struct syncq_ticket ticket;
    struct syncq_mark mark;
    struct syncq_state state;

    if (syncq_entry_read(queue, mail->slots[0], &view) != 0)
        return;
    state = view.state;
    state.status = SYNCQ_STATUS_DONE;
    state.mask = syncq_recipients_mask(view.recipient_count);
    oracle_say(load->oracle, mail, ORACLE_DONE);
    (void)syncq_entry_update(queue, &view, &state);
    mark = (struct syncq_mark){view.sequence, view.part, state};
    load->failed_before = channel_failed(queue);
    if (syncq_marks_append(queue, &mark, 1, &ticket) == 0 &&
        finish(load, queue, &ticket) == 0)
        oracle_say(load->oracle, mail, ORACLE_DONE_DURABLE);
}

int load_step(struct load *load, struct syncq_queue *queue)
{
    struct syncq_ticket ticket;
    struct mail mail;
    int result;

    load->seed++;
    mail_init(&mail, load->seed, 2, 1, load->seed * 700 % 9000);
    load->failed_before = channel_failed(queue);
    oracle_say(load->oracle, &mail, ORACLE_SUBMITTED);
    result = mail_append(queue, &mail, &ticket);
    if (result == 0)
        result = finish(load, queue, &ticket);
    if (result != 0)
        return result;
    oracle_say(load->oracle, &mail, ORACLE_CONFIRMED);
    if (load->seed % MARK_EACH == 0)
        deliver(load, queue, &mail);
    return 0;
}

void load_repair_and_check(struct load *load, struct fixture *fixture)
{
    const struct oracle_excuse none = {0};
    struct syncq_queue *queue;
    struct syncq_recovery_report report;
    int directory_fd = -1;
    int result;

    assert_result(syncq_directory_open(fixture->queue, &directory_fd), 0);
    (void)syncq_latch_clear(directory_fd);
    close(directory_fd);
    (void)unlink(fixture_path(fixture, SYNCQ_INDEX_FILE));
    result = fixture_recover(fixture, &report, NULL);
    if (result != 0) {
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "cannot be recovered after a repair: %s",
                     syncq_strerror(result));
        return;
    }
    queue = fixture_reader(fixture);
    (void)oracle_check(load->oracle, queue, &none, load->findings, load->text);
    syncq_queue_close(queue);
}
