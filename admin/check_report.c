/* SPDX-License-Identifier: MIT */
#include "admin/check_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "module/error.h"
#include "module/listing.h"
#include "module/record_format.h"

#define LINES_MAX 100 /* of one kind; the rest is only counted */

static void add_finding(struct check_printer *printer, json_t *finding)
{
    if (printer->as_json)
        json_append(&printer->findings, finding);
    else
        json_decref(finding);
}

static json_t *finding_of(const char *kind)
{
    json_t *finding = json_object();

    json_add(&finding, "kind", json_string(kind));
    return finding;
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

__attribute__((format(printf, 3, 4))) static void
print_line(struct check_printer *printer, unsigned *lines, const char *format,
           ...)
{
    va_list arguments;

    if (printer->as_json || (*lines)++ >= LINES_MAX)
        return;
    progress_clear(&printer->progress);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

/* What stood in a damaged place, as far as anything tells. */
static void describe(const struct syncq_damage *damage, char *text, size_t size)
{
    char sequence[32];

    if (syncq_record_type_is_message(damage->type)) {
        syncq_sequence_text(damage->sequence, sequence);
        (void)snprintf(text, size, "message %s", sequence);
    } else if (damage->type == SYNCQ_RECORD_MARKS) {
        (void)snprintf(text, size, "changes of state");
    } else {
        (void)snprintf(text, size, "not known what it was");
    }
}

static void see_damage(const struct syncq_damage *damage, void *context)
{
    struct check_printer *printer = context;
    int is_repaired = damage->state == SYNCQ_DAMAGE_REPAIRED;
    json_t *finding = finding_of("damage");
    char what[64], unreadable[64] = "";

    describe(damage, what, sizeof(what));
    if (damage->unreadable)
        (void)snprintf(unreadable, sizeof(unreadable),
                       ", %" PRIu64 " of them unreadable", damage->unreadable);
    print_line(printer, &printer->damage_lines,
               "%s: %" PRIu64 " bytes at LSN %" PRIu64 " to %" PRIu64
               ", file offset %" PRIu64 "%s: %s\n",
               is_repaired ? "damaged, repaired" : "damaged", damage->size,
               damage->lsn, damage->lsn + damage->size, damage->offset,
               unreadable, what);
    json_add(&finding, "lsn", number(damage->lsn));
    json_add(&finding, "offset", number(damage->offset));
    json_add(&finding, "size", number(damage->size));
    json_add(&finding, "unreadable", number(damage->unreadable));
    json_add(&finding, "was", json_text(what));
    json_add(&finding, "repaired", json_boolean(is_repaired));
    if (damage->date_s)
        json_add(&finding, "known_since", json_integer(damage->date_s));
    add_finding(printer, finding);
}

static void see_superblock(unsigned copy, int error, void *context)
{
    struct check_printer *printer = context;
    json_t *finding = finding_of("superblock");

    print_line(printer, &printer->page_lines,
               "damaged: copy %u of the superblock: %s\n", copy,
               error == SYNCQ_ERR_SUPERBLOCK || error == SYNCQ_ERR_MAGIC
                   ? "the other one is used"
                   : syncq_strerror(error));
    json_add(&finding, "copy", number(copy));
    add_finding(printer, finding);
}

static void see_page(uint32_t segment, int end, void *context)
{
    struct check_printer *printer = context;
    json_t *finding = finding_of("segment_page");

    print_line(printer, &printer->page_lines,
               "damaged: the %s page of segment %" PRIu32 "\n",
               end ? "last" : "first", segment);
    json_add(&finding, "segment", number(segment));
    json_add(&finding, "page", json_string(end ? "last" : "first"));
    add_finding(printer, finding);
}

static void see_lost(struct check_printer *printer, uint64_t sequence,
                     uint32_t part, const char *why)
{
    json_t *finding = finding_of("lost");
    char text[32];

    syncq_sequence_text(sequence, text);
    print_line(printer, &printer->entry_lines,
               "lost: message %s, part %" PRIu32 ": %s\n", text, part, why);
    json_add(&finding, "sequence", json_text(text));
    json_add(&finding, "part", number(part));
    add_finding(printer, finding);
}

static void see_entry(uint32_t slot, uint64_t sequence, uint32_t part,
                      int error, void *context)
{
    struct check_printer *printer = context;
    json_t *finding;

    if (error != SYNCQ_ERR_BAD_ENTRY) {
        see_lost(printer, sequence, part, syncq_strerror(error));
        return;
    }
    finding = finding_of("entry");
    print_line(printer, &printer->entry_lines,
               "damaged: entry %" PRIu32 " of the index\n", slot);
    json_add(&finding, "slot", number(slot));
    add_finding(printer, finding);
}

static void see_lost_part(uint64_t sequence, uint32_t part, void *context)
{
    see_lost(context, sequence, part, "given up by this repair");
}

static void see_progress(uint64_t done, uint64_t total, void *context)
{
    struct check_printer *printer = context;

    progress_update(done, total, &printer->progress);
}

void check_printer_init(struct check_printer *printer, int as_json,
                        const char *what)
{
    *printer = (struct check_printer){.as_json = as_json};
    progress_init(&printer->progress, what);
    if (as_json)
        printer->findings = json_array();
}

struct syncq_repair_visitor check_printer_visitor(struct check_printer *printer)
{
    return (struct syncq_repair_visitor){
        .check = {.superblock = see_superblock,
                  .page = see_page,
                  .damage = see_damage,
                  .entry = see_entry,
                  .progress = see_progress,
                  .context = printer},
        .lost = see_lost_part,
    };
}

static void print_counts(const struct syncq_check_report *report)
{
    printf("%" PRIu64 " messages, %" PRIu64 " marks records, %" PRIu64
           " void records, %" PRIu64 " MiB read%s\n",
           report->messages, report->marks, report->voids,
           report->read_size >> 20,
           report->direct   ? " past the page cache"
           : report->online ? ""
                            : " through the page cache: this file system "
                              "cannot do otherwise");
    if (report->has_holes)
        printf("damaged: the data file is not wholly allocated, first at file "
               "offset %" PRIu64 "; a full disk could then lose mail\n",
               report->hole_offset);
    if (report->segments_unknown)
        printf("damaged: %" PRIu64 " segments of which no page is valid\n",
               report->segments_unknown);
    if (report->unreadable_size)
        printf("unreadable: %" PRIu64 " bytes of the data file\n",
               report->unreadable_size);
    if (report->index_error)
        printf("damaged: the index: %s; the sync helper makes a new one from "
               "the data file when it starts\n",
               syncq_strerror(report->index_error));
    else
        printf("%" PRIu64 " entries of the index in use\n",
               report->entries_used);
    if (report->lists_wrong)
        printf("note: %" PRIu64 " slots are not in exactly one list; the next "
               "start makes the lists anew\n",
               report->lists_wrong);
    if (report->repaired_count)
        printf("note: %" PRIu64 " places of %" PRIu64 " bytes were damaged "
               "before the last repair\n",
               report->repaired_count, report->repaired_size);
    if (report->latched)
        printf("FAILED: a sync failed at LSN %" PRIu64 "; see 'syncq status'\n",
               report->latched_lsn);
    if (report->index_latched)
        printf("FAILED: a sync of the index failed; the sync helper makes a "
               "new one when it starts\n");
}

static void print_verdict(const struct syncq_check_report *report)
{
    if (syncq_check_is_good(report))
        printf("verdict: no damage\n");
    else if (report->damage_count || report->parts_lost)
        printf("verdict: DAMAGED: %" PRIu64 " places of %" PRIu64
               " bytes in the log, %" PRIu64 " parts of messages lost\n",
               report->damage_count, report->damage_size, report->parts_lost);
    else
        printf("verdict: NOT WELL: see above; no message is lost\n");
}

static json_t *check_object(const struct syncq_check_report *report)
{
    json_t *object = json_object();

    json_add(&object, "good", json_boolean(syncq_check_is_good(report)));
    json_add(&object, "messages", number(report->messages));
    json_add(&object, "marks_records", number(report->marks));
    json_add(&object, "void_records", number(report->voids));
    json_add(&object, "read_size", number(report->read_size));
    json_add(&object, "direct", json_boolean(report->direct));
    json_add(&object, "damage_count", number(report->damage_count));
    json_add(&object, "damage_size", number(report->damage_size));
    json_add(&object, "repaired_count", number(report->repaired_count));
    json_add(&object, "repaired_size", number(report->repaired_size));
    json_add(&object, "unreadable_size", number(report->unreadable_size));
    json_add(&object, "superblocks_damaged",
             number(report->superblocks_damaged));
    json_add(&object, "segment_pages_damaged", number(report->pages_damaged));
    json_add(&object, "holes", json_boolean(report->has_holes));
    json_add(&object, "index",
             report->index_error
                 ? json_text(syncq_strerror(report->index_error))
                 : json_null());
    json_add(&object, "entries_used", number(report->entries_used));
    json_add(&object, "entries_damaged", number(report->entries_damaged));
    json_add(&object, "parts_lost", number(report->parts_lost));
    json_add(&object, "lists_wrong", number(report->lists_wrong));
    json_add(&object, "failed", json_boolean(report->latched));
    json_add(&object, "index_failed", json_boolean(report->index_latched));
    return object;
}

int check_print(struct check_printer *printer,
                const struct syncq_check_report *report)
{
    json_t *object;

    progress_clear(&printer->progress);
    if (!printer->as_json) {
        print_counts(report);
        print_verdict(report);
        return 0;
    }
    object = check_object(report);
    json_add(&object, "findings", printer->findings);
    return json_print(object);
}

int check_repair_is_whole(const struct syncq_repair_report *report)
{
    return report->recovery.parts_lost == 0 && report->latch_cleared &&
           report->unreadable_size == 0 &&
           report->recovery.damage_count == report->recovery.damage_known;
}

static void print_repair(const struct syncq_repair_report *report)
{
    const struct syncq_recovery_report *made = &report->recovery;

    printf("repaired: a new index of %" PRIu64 " messages, %" PRIu64
           " marks; %" PRIu64 " parts held, %" PRIu64 " lost\n",
           made->messages, made->marks, made->parts_held, made->parts_lost);
    if (made->parts_held)
        printf("held: they may have been delivered already; 'syncq release' "
               "lets them go\n");
    if (made->damage_count)
        printf("quarantined: %" PRIu32 " places of %" PRIu64
               " bytes; they stay as they are until their segments are "
               "retired\n",
               made->damage_count, made->damage_size);
    if (report->zeroed_size)
        printf("renewed: %" PRIu64 " unreadable bytes that held nothing\n",
               report->zeroed_size);
    if (report->unreadable_size)
        printf("unreadable: %" PRIu64 " bytes that held nothing cannot be "
               "written either\n",
               report->unreadable_size);
    if (!report->latch_cleared)
        printf("verdict: STILL FAILED: %s; use 'syncq salvage'\n",
               report->unreadable_size
                   ? "the disk is broken"
                   : "this file system cannot be read past the page cache");
    else if (made->parts_lost || made->damage_count > made->damage_known)
        printf("verdict: repaired; what could be read is kept, the rest is "
               "named above\n");
    else
        printf("verdict: repaired, nothing is lost\n");
}

int check_print_repair(struct check_printer *printer,
                       const struct syncq_repair_report *report)
{
    const struct syncq_recovery_report *made = &report->recovery;
    json_t *object;

    progress_clear(&printer->progress);
    if (!printer->as_json) {
        print_counts(&report->found);
        print_repair(report);
        return 0;
    }
    object = json_object();
    json_add(&object, "found", check_object(&report->found));
    json_add(&object, "findings", printer->findings);
    json_add(&object, "messages", number(made->messages));
    json_add(&object, "parts_held", number(made->parts_held));
    json_add(&object, "parts_lost", number(made->parts_lost));
    json_add(&object, "quarantined_count", number(made->damage_count));
    json_add(&object, "quarantined_size", number(made->damage_size));
    json_add(&object, "renewed_size", number(report->zeroed_size));
    json_add(&object, "unreadable_size", number(report->unreadable_size));
    json_add(&object, "was_failed", json_boolean(report->was_latched));
    json_add(&object, "still_failed", json_boolean(!report->latch_cleared));
    return json_print(object);
}
