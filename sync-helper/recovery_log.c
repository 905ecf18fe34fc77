/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "module/error.h"
#include "module/recovery.h"
#include "program/log.h"
#include "sync-helper/helper.h"

/* Still to be delivered, and not waiting for anybody. */
static uint64_t pending(const struct syncq_recovery_report *report)
{
    return report->parts[SYNCQ_STATUS_SYNCED] +
           report->parts[SYNCQ_STATUS_READY] +
           report->parts[SYNCQ_STATUS_ACTIVE] +
           report->parts[SYNCQ_STATUS_FLUSHING];
}

static void log_damage(const struct syncq_damage *damage)
{
    if (damage->state == SYNCQ_DAMAGE_REPAIRED)
        log_info("damage that was repaired is still there: offset=%" PRIu64
                 ", size=%" PRIu64 ", lsn=%" PRIu64,
                 damage->offset, damage->size, damage->lsn);
    else
        log_error("confirmed data is damaged: offset=%" PRIu64 ", size=%" PRIu64
                  ", lsn=%" PRIu64 ", unreadable=%" PRIu64
                  "; it is kept as it is: see syncq check",
                  damage->offset, damage->size, damage->lsn,
                  damage->unreadable);
}

void recovery_log(const struct syncq_recovery_report *report)
{
    double speed = report->time_us == 0 ? 0
                                        : (double)report->scanned_size /
                                              (double)report->time_us / 1e3;

    log_info(
        "recovered: %s, segments=%" PRIu32 "/%" PRIu32 ", scanned=%" PRIu64
        ", time=%" PRIu64 "us, speed=%.2fGB/s, "
        "records=%" PRIu64 ", messages=%" PRIu64 ", marks=%" PRIu64
        ", found=%" PRIu64 ", freed=%" PRIu64 ", torn=%" PRIu64
        ", pending=%" PRIu64 ", deferred=%" PRIu64 ", held=%" PRIu64
        ", lost=%" PRIu64 ", damaged=%" PRIu32,
        report->clean ? "clean stop" : syncq_replay_reason_text(report->reason),
        report->segments_scanned, report->segments_used, report->scanned_size,
        report->time_us, speed, report->records, report->messages,
        report->marks, report->parts_found, report->slots_freed,
        report->torn_size, pending(report),
        report->parts[SYNCQ_STATUS_DEFERRED], report->parts[SYNCQ_STATUS_HELD],
        report->parts_lost, report->damage_count);
    for (uint32_t i = 0; i < report->damage_count && i < SYNCQ_DAMAGE_MAX; i++)
        log_damage(&report->damages[i]);
    if (report->damage_count > SYNCQ_DAMAGE_MAX)
        log_error("confirmed data is damaged in %" PRIu32 " places in all",
                  report->damage_count);
    if (report->list_error != 0)
        log_error("the list of damage cannot be written: %s",
                  syncq_strerror(report->list_error));
    if (report->segments_unknown > 0)
        log_error("nothing is left of %" PRIu32 " segments: see syncq check",
                  report->segments_unknown);
    if (report->parts_lost > 0)
        log_error("%" PRIu64 " parts of messages are lost: see syncq check",
                  report->parts_lost);
    if (report->parts_held > 0)
        log_error("marks may be missing: %" PRIu64 " parts are on hold, "
                  "because they may have been delivered already; syncq "
                  "release --all delivers them",
                  report->parts_held);
}
