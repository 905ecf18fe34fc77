/* SPDX-License-Identifier: MIT */
#include "tests/faults/oracle.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "module/read.h"

#define WORD(word) (1U << (word))

struct item {
    struct mail mail;
    unsigned words; /* what was said of it */
};

struct oracle {
    pthread_mutex_t lock;
    struct item *items;
    size_t count, capacity;
    uint32_t *table; /* number of the item + 1 by seed; 0: none */
    size_t table_size;
};

/* What the queue holds of one mail. */
struct found {
    uint32_t parts[MAIL_PARTS_MAX]; /* entries seen of each part */
    uint64_t sequence;
    uint32_t finals, helds, pendings, losts, wrongs;
    const char *difference;
};

struct examination {
    const struct oracle *oracle;
    struct syncq_queue *queue;
    const struct oracle_excuse *excuse;
    struct findings *findings;
    const char *case_text;
    struct found *found; /* one per item */
    unsigned count;
};

/* ---- what was said ---- */

static void *must(void *memory)
{
    if (memory == NULL) {
        perror("oracle");
        exit(1);
    }
    return memory;
}

struct oracle *oracle_new(void)
{
    struct oracle *oracle = must(calloc(1, sizeof *oracle));

    (void)pthread_mutex_init(&oracle->lock, NULL);
    return oracle;
}

void oracle_free(struct oracle *oracle)
{
    if (oracle == NULL)
        return;
    (void)pthread_mutex_destroy(&oracle->lock);
    free(oracle->items);
    free(oracle->table);
    free(oracle);
}

static void *copied(const void *from, size_t size)
{
    void *copy = must(malloc(size + 1));

    if (size > 0)
        memcpy(copy, from, size);
    return copy;
}

struct oracle *oracle_copy(const struct oracle *oracle)
{
    struct oracle *from = (struct oracle *)(uintptr_t)oracle;
    struct oracle *copy = oracle_new();

    (void)pthread_mutex_lock(&from->lock);
    copy->count = copy->capacity = from->count;
    copy->items = copied(from->items, from->count * sizeof *from->items);
    copy->table_size = from->table_size;
    copy->table = copied(from->table, from->table_size * sizeof *from->table);
    (void)pthread_mutex_unlock(&from->lock);
    return copy;
}

/* Where the number of this seed's item is, or would be. */
static uint32_t *table_place(const struct oracle *oracle, unsigned seed)
{
    size_t at = (size_t)(seed * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    for (;; at++) {
        uint32_t *place = &oracle->table[at & (oracle->table_size - 1)];

        if (*place == 0 || oracle->items[*place - 1].mail.seed == seed)
            return place;
    }
}

static void table_grow(struct oracle *oracle)
{
    free(oracle->table);
    oracle->table_size = oracle->table_size == 0 ? 64 : oracle->table_size * 2;
    oracle->table = must(calloc(oracle->table_size, sizeof *oracle->table));
    for (size_t i = 0; i < oracle->count; i++)
        *table_place(oracle, oracle->items[i].mail.seed) = (uint32_t)i + 1;
}

static struct item *item_find(const struct oracle *oracle, unsigned seed)
{
    uint32_t number = oracle->table_size == 0 ? 0 : *table_place(oracle, seed);

    return number == 0 ? NULL : &oracle->items[number - 1];
}

static struct item *item_add(struct oracle *oracle, const struct mail *mail)
{
    if (oracle->count == oracle->capacity) {
        oracle->capacity = oracle->capacity == 0 ? 64 : oracle->capacity * 2;
        oracle->items = must(reallocarray(oracle->items, oracle->capacity,
                                          sizeof *oracle->items));
    }
    if (oracle->count * 2 >= oracle->table_size)
        table_grow(oracle);
    oracle->items[oracle->count++] = (struct item){.mail = *mail};
    *table_place(oracle, mail->seed) = (uint32_t)oracle->count;
    return &oracle->items[oracle->count - 1];
}

void oracle_say(struct oracle *oracle, const struct mail *mail,
                enum oracle_word word)
{
    struct item *item;

    (void)pthread_mutex_lock(&oracle->lock);
    item = item_find(oracle, mail->seed);
    if (item == NULL)
        item = item_add(oracle, mail);
    if (mail->sequence != 0)
        item->mail = *mail;
    item->words |= WORD(word);
    (void)pthread_mutex_unlock(&oracle->lock);
}

/* ---- what is there ---- */

static int said(const struct item *item, enum oracle_word word)
{
    return (item->words & WORD(word)) != 0;
}

__attribute__((format(printf, 4, 5))) static void
report(struct examination *examination, enum finding finding,
       const struct item *item, const char *format, ...)
{
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    examination->count++;
    if (item == NULL)
        findings_add(examination->findings, finding, examination->case_text,
                     "%s", text);
    else
        findings_add(examination->findings, finding, examination->case_text,
                     "mail %u (%zu bytes, sequence %" PRIx64 ", lsn %" PRIx64
                     "): %s",
                     item->mail.seed, item->mail.size, item->mail.sequence,
                     item->mail.lsn, text);
}

static int excuse_given(const struct examination *examination)
{
    const struct oracle_excuse *excuse = examination->excuse;

    return excuse != NULL && excuse->reported &&
           excuse->damaged_to > excuse->damaged_from;
}

/* Does the reported damage touch this mail's record? */
static int is_excused(const struct examination *examination,
                      const struct item *item)
{
    const struct oracle_excuse *excuse = examination->excuse;
    uint64_t base, offset;
    uint32_t segment;

    if (!excuse_given(examination))
        return 0;
    if (syncq_segment_find(examination->queue, item->mail.lsn, &segment,
                           &base) != 0)
        return 1; /* its segment's page is among what is damaged */
    offset = syncq_data_segment_offset(&examination->queue->data, segment) +
             (item->mail.lsn - base);
    return offset < excuse->damaged_to &&
           offset + mail_record_size(&item->mail) > excuse->damaged_from;
}

static struct item *item_by_sequence(const struct oracle *oracle,
                                     uint64_t sequence)
{
    for (size_t i = 0; i < oracle->count; i++)
        if (oracle->items[i].mail.sequence == sequence)
            return &oracle->items[i];
    return NULL;
}

/* Which mail is this entry of?  The record says so; if it cannot be read, the
 * sequence does. */
static struct item *identify(struct examination *examination,
                             const struct syncq_entry_view *entry,
                             const char **difference, int *readable)
{
    const struct oracle *oracle = examination->oracle;
    struct syncq_record record;
    struct item *item = NULL;
    unsigned seed;

    *difference = NULL;
    *readable = syncq_record_read(examination->queue, entry->state.lsn,
                                  entry->sequence, &record) == 0;
    if (!*readable)
        return item_by_sequence(oracle, entry->sequence);
    if (mail_seed(&record, &seed))
        item = item_find(oracle, seed);
    if (item != NULL)
        *difference = mail_difference(&item->mail, &record);
    syncq_record_clear(&record);
    return item;
}

static void count_status_of(struct found *found, unsigned status)
{
    switch (status) {
    case SYNCQ_STATUS_DONE:
    case SYNCQ_STATUS_CANCELLED:
        found->finals++;
        break;
    case SYNCQ_STATUS_HELD:
        found->helds++;
        break;
    case SYNCQ_STATUS_LOST:
        found->losts++;
        break;
    case SYNCQ_STATUS_NEW:
    case SYNCQ_STATUS_FREE:
        found->wrongs++;
        break;
    default:
        found->pendings++;
        break;
    }
}

static void see_entry(struct examination *examination,
                      const struct syncq_entry_view *entry)
{
    const char *difference;
    int readable;
    struct item *item = identify(examination, entry, &difference, &readable);
    struct found *found;
    int final = syncq_status_is_final(entry->state.status);

    if (item == NULL) {
        if (readable)
            report(examination, FINDING_FORGED, NULL,
                   "sequence %" PRIx64 " was never submitted", entry->sequence);
        else if (!final && !excuse_given(examination))
            report(examination, FINDING_STUCK, NULL,
                   "sequence %" PRIx64 " is %s and has no record",
                   entry->sequence, syncq_status_name(entry->state.status));
        return;
    }
    found = &examination->found[item - examination->oracle->items];
    if (found->sequence == 0)
        found->sequence = entry->sequence;
    if (found->sequence != entry->sequence ||
        (item->mail.sequence != 0 && item->mail.sequence != entry->sequence))
        report(examination, FINDING_FORGED, item,
               "is there as sequence %" PRIx64, entry->sequence);
    else if (entry->part >= item->mail.part_count)
        report(examination, FINDING_FORGED, item, "has a part %u", entry->part);
    else if (found->parts[entry->part]++ > 0)
        report(examination, FINDING_FORGED, item, "has part %u twice",
               entry->part);
    count_status_of(found, entry->state.status);
    if (difference != NULL)
        found->difference = difference;
    if (!readable && !final && entry->state.status != SYNCQ_STATUS_LOST)
        found->losts++;
}

/* ---- the two compared ---- */

static void judge_presence(struct examination *examination,
                           const struct item *item, const struct found *found)
{
    uint32_t present = 0;

    for (uint32_t part = 0; part < item->mail.part_count; part++)
        present += found->parts[part] > 0;
    if (said(item, ORACLE_DONE) || said(item, ORACLE_DONE_DURABLE))
        return; /* its slots may be gone with its segment */
    if (present == item->mail.part_count ||
        (present == 0 && !said(item, ORACLE_CONFIRMED)))
        return;
    if (present == found->finals && said(item, ORACLE_CANCELLED))
        return;
    if (!is_excused(examination, item))
        report(examination, FINDING_LOST, item, "%u of %u parts are there",
               present, item->mail.part_count);
}

static void judge_status(struct examination *examination,
                         const struct item *item, const struct found *found)
{
    int confirmed = said(item, ORACLE_CONFIRMED);
    int done = said(item, ORACLE_DONE) || said(item, ORACLE_DONE_DURABLE);
    int hold = said(item, ORACLE_HELD) || said(item, ORACLE_HOLDING);

    if (found->losts > 0 && !is_excused(examination, item))
        report(examination, confirmed && !done ? FINDING_LOST : FINDING_STUCK,
               item, "the record of %u parts cannot be read", found->losts);
    if (found->wrongs > 0)
        report(examination, FINDING_STUCK, item, "%u parts are new or free",
               found->wrongs);
    if (said(item, ORACLE_DONE_DURABLE) &&
        (found->pendings > 0 ||
         (found->helds > 0 && !excuse_given(examination))))
        report(examination, FINDING_RESURRECTED, item,
               "was done, %u parts are pending and %u held", found->pendings,
               found->helds);
    if (confirmed && !done && found->finals > 0 &&
        !said(item, ORACLE_CANCELLED))
        report(examination, FINDING_LOST, item,
               "%u parts are done or cancelled", found->finals);
    if (found->helds > 0 && !hold && !excuse_given(examination) &&
        !said(item, ORACLE_DONE_DURABLE))
        report(examination, FINDING_STUCK, item, "%u parts are on hold",
               found->helds);
    if (said(item, ORACLE_HELD) && !done && found->pendings > 0)
        report(examination, FINDING_STUCK, item,
               "was on hold, %u parts are not", found->pendings);
}

unsigned oracle_check(const struct oracle *oracle, struct syncq_queue *queue,
                      const struct oracle_excuse *excuse,
                      struct findings *findings, const char *case_text)
{
    struct examination examination = {.oracle = oracle,
                                      .queue = queue,
                                      .excuse = excuse,
                                      .findings = findings,
                                      .case_text = case_text};
    uint32_t count = syncq_entry_count(queue);

    examination.found =
        must(calloc(oracle->count + 1, sizeof *examination.found));
    for (uint32_t slot = 0; slot < count; slot++) {
        struct syncq_entry_view entry;

        if (syncq_entry_read(queue, slot, &entry) == 0)
            see_entry(&examination, &entry);
        else if (queue->index.entries[slot].kind != SYNCQ_ENTRY_FREE)
            report(&examination, FINDING_STUCK, NULL,
                   "slot %" PRIu32 " is neither free nor readable", slot);
    }
    for (size_t i = 0; i < oracle->count; i++) {
        const struct item *item = &oracle->items[i];
        const struct found *found = &examination.found[i];

        if (found->difference != NULL)
            report(&examination, FINDING_ALTERED, item, "its %s is altered",
                   found->difference);
        judge_presence(&examination, item, found);
        judge_status(&examination, item, found);
    }
    free(examination.found);
    return examination.count;
}
