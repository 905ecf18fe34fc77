/* SPDX-License-Identifier: MIT */
/*
 * gate.c - may the milter take mail?  One manager writes, milters read.
 */
#include <stdio.h>
#include <string.h>

#include "module/queue_internal.h"

void syncq_gate_set(struct syncq_queue *queue, const char *text)
{
    struct syncq_channel *channel = queue->handle.channel;

    if (channel == NULL || queue->mode != SYNCQ_OPEN_WRITE)
        return;
    if (text[0] == '\0') {
        atomic_store(&channel->gate_closed, 0);
        return;
    }
    atomic_store(&channel->gate_closed, 1);
    /* An odd number while the text changes: readers then take no text. */
    atomic_fetch_or(&channel->gate_change, 1);
    (void)snprintf(channel->gate_text, sizeof channel->gate_text, "%s", text);
    atomic_fetch_add(&channel->gate_change, 1);
}

int syncq_gate_get(struct syncq_queue *queue, char text[SYNCQ_GATE_TEXT_SIZE])
{
    struct syncq_channel *channel = queue->handle.channel;
    uint32_t before;

    (void)snprintf(text, SYNCQ_GATE_TEXT_SIZE, "no sync helper runs");
    if (channel == NULL)
        return 0;
    text[0] = '\0';
    if (!atomic_load(&channel->gate_closed))
        return 1;
    before = atomic_load(&channel->gate_change);
    memcpy(text, channel->gate_text, SYNCQ_GATE_TEXT_SIZE);
    text[SYNCQ_GATE_TEXT_SIZE - 1] = '\0';
    if ((before & 1) != 0 || before != atomic_load(&channel->gate_change))
        (void)snprintf(text, SYNCQ_GATE_TEXT_SIZE, "the reason is changing");
    return 0;
}
