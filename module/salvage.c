/* SPDX-License-Identifier: MIT */
#include "module/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "module/error.h"
#include "module/marks_format.h"
#include "module/file.h"
#include "module/log_scan.h"
#include "module/salvage_states.h"

#define PART_NONE UINT32_MAX /* stands for the message itself */

struct syncq_salvage {
    struct syncq_queue queue; /* only descriptors, key, sizes and index */
    uint64_t file_size;
    int has_key;
    int layout_known;
    struct syncq_salvage_states states;
};

/* The search as it goes on. */
struct search {
    struct syncq_salvage *salvage;
    const struct syncq_salvage_visitor *visitor;
    struct syncq_salvage_report *report;
    struct syncq_log_reader reader;
    uint64_t pass_offset; /* progress: what earlier passes have read */
    struct syncq_state *part_states;
    size_t part_capacity;
};

/* Whose queue is it?  The index says so, too. */
static int read_index_uuid(int directory_fd, uint8_t uuid[SYNCQ_UUID_SIZE])
{
    struct syncq_index_header header;
    int fd = openat(directory_fd, SYNCQ_INDEX_FILE,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int result;

    if (fd < 0)
        return SYNCQ_ERR_SUPERBLOCK;
    result = syncq_file_read(fd, &header, sizeof header, 0);
    close(fd);
    if (result != 0 ||
        memcmp(header.magic, SYNCQ_INDEX_MAGIC, sizeof header.magic) != 0)
        return SYNCQ_ERR_SUPERBLOCK;
    memcpy(uuid, header.uuid, sizeof header.uuid);
    return 0;
}

/* A superblock of this key tells the sizes; both damaged, the search goes
 * without them.  A wrong key is told from damage by the checksum. */
static int read_superblock(struct syncq_salvage *salvage)
{
    struct syncq_data *data = &salvage->queue.data;
    uint64_t best = 0;
    int wrong_key = 0;

    for (off_t copy = 0; copy < 2; copy++) {
        struct syncq_superblock superblock;
        int result = syncq_file_read(data->fd, &superblock, sizeof superblock,
                                     copy * (off_t)SYNCQ_PAGE_SIZE);

        if (result == 0)
            result = syncq_superblock_check(&superblock, &salvage->queue.key);
        wrong_key |= result == SYNCQ_ERR_KEY;
        if (result != 0 || superblock.generation < best)
            continue;
        best = superblock.generation;
        salvage->layout_known = 1;
        data->superblock = superblock;
        data->segment_size = superblock.segment_size;
        data->segment_count = superblock.segment_count;
        memcpy(salvage->queue.key.uuid, superblock.uuid,
               sizeof superblock.uuid);
    }
    if (salvage->layout_known)
        return 0;
    if (wrong_key)
        return SYNCQ_ERR_KEY;
    return read_index_uuid(salvage->queue.directory_fd,
                           salvage->queue.key.uuid);
}

static int open_file(struct syncq_salvage *salvage, const char *directory,
                     const char *file)
{
    struct syncq_queue *queue = &salvage->queue;
    struct stat status;

    queue->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (queue->directory_fd < 0)
        return errno == ENOENT ? SYNCQ_ERR_NO_QUEUE : errno;
    queue->data.fd = openat(queue->directory_fd, file,
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (queue->data.fd < 0)
        return errno == ENOENT ? SYNCQ_ERR_NO_QUEUE : errno;
    if (fstat(queue->data.fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return SYNCQ_ERR_MAGIC;
    salvage->file_size = (uint64_t)status.st_size & ~(SYNCQ_RECORD_STEP - 1);
    return 0;
}

int syncq_salvage_open(const char *directory, const char *file, int without_key,
                       struct syncq_salvage **salvage)
{
    struct syncq_salvage *made = calloc(1, sizeof *made);
    uint8_t uuid[SYNCQ_UUID_SIZE];
    int result;

    if (made == NULL)
        return ENOMEM;
    made->queue.directory_fd = made->queue.data.fd = made->queue.index.fd = -1;
    made->has_key = !without_key;
    result = open_file(made, directory, file);
    if (result == 0 && made->has_key)
        result = syncq_key_load(made->queue.directory_fd, &made->queue.key);
    if (result == 0 && made->has_key)
        result = read_superblock(made);
    if (result != 0) {
        syncq_salvage_close(made);
        return result;
    }
    /* An index that does not open is one that says nothing. */
    if (read_index_uuid(made->queue.directory_fd, uuid) == 0 &&
        (!made->has_key ||
         memcmp(uuid, made->queue.key.uuid, sizeof uuid) == 0))
        (void)syncq_index_open(made->queue.directory_fd, 0, uuid,
                               &made->queue.index);
    *salvage = made;
    return 0;
}

void syncq_salvage_close(struct syncq_salvage *salvage)
{
    if (salvage == NULL)
        return;
    syncq_salvage_states_clear(&salvage->states);
    syncq_index_close(&salvage->queue.index);
    if (salvage->queue.data.fd >= 0)
        close(salvage->queue.data.fd);
    if (salvage->queue.directory_fd >= 0)
        close(salvage->queue.directory_fd);
    syncq_key_clear(&salvage->queue.key);
    free(salvage);
}

static void tell_progress(uint64_t offset, void *context)
{
    struct search *search = context;

    if (search->visitor->progress != NULL)
        search->visitor->progress(search->pass_offset + offset,
                                  2 * search->salvage->file_size,
                                  search->visitor->context);
}

static int see_marks(const struct syncq_record_header *header,
                     const uint8_t *body, void *context)
{
    struct search *search = context;

    if (syncq_record_type_is_message(header->type)) /* what a copy carries */
        return syncq_salvage_states_add_marks(
            &search->salvage->states, header->lsn,
            body + header->envelope_size + header->content_size,
            header->state_count * sizeof(struct syncq_mark_image));
    if (header->type != SYNCQ_RECORD_MARKS)
        return 0;
    return syncq_salvage_states_add_marks(&search->salvage->states, header->lsn,
                                          body + header->envelope_size,
                                          header->content_size);
}

static int find_states(struct search *search, uint64_t sequence, uint32_t count)
{
    if (count > search->part_capacity) {
        struct syncq_state *grown =
            reallocarray(search->part_states, count, sizeof *grown);

        if (grown == NULL)
            return ENOMEM;
        search->part_states = grown;
        search->part_capacity = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct syncq_salvage_part *part =
            syncq_salvage_states_find(&search->salvage->states, sequence, i);

        search->part_states[i] =
            part == NULL ? (struct syncq_state){0} : part->state;
    }
    return 0;
}

static int tell_message(struct search *search,
                        const struct syncq_record_header *header,
                        const struct syncq_envelope *envelope,
                        const uint8_t *body)
{
    struct syncq_salvaged message = {
        .header = header,
        .envelope = envelope,
        .content = body + header->envelope_size,
        .content_size = header->content_size,
        .offset = search->reader.record_offset,
        .is_genuine = search->salvage->has_key,
    };
    int result = find_states(search, header->sequence, envelope->part_count);

    if (result != 0)
        return result;
    message.states = search->part_states;
    search->report->messages++;
    return search->visitor->message(&message, search->visitor->context);
}

/* A message that was moved is there twice; a forger may use any number. */
static int is_copy(struct search *search,
                   const struct syncq_record_header *header, int *copy)
{
    struct syncq_salvage_part *part;
    int is_new = 1;
    int result = 0;

    if (search->salvage->has_key)
        result =
            syncq_salvage_states_get(&search->salvage->states, header->sequence,
                                     PART_NONE, &part, &is_new);
    *copy = !is_new;
    return result;
}

static int see_message(const struct syncq_record_header *header,
                       const uint8_t *body, void *context)
{
    struct search *search = context;
    struct syncq_envelope envelope;
    int result, copy;

    if (!syncq_record_type_is_message(header->type))
        return 0;
    result = syncq_envelope_decode(body, header->envelope_size, &envelope);
    if (result == ENOMEM)
        return result;
    if (result != 0 || header->sequence == 0 ||
        envelope.part_count != header->part_count ||
        envelope.recipient_count != header->recipient_count) {
        search->report->unreadable++;
        syncq_envelope_clear(&envelope);
        return 0;
    }
    result = is_copy(search, header, &copy);
    if (result == 0 && copy)
        search->report->copies++;
    else if (result == 0)
        result = tell_message(search, header, &envelope, body);
    syncq_envelope_clear(&envelope);
    return result;
}

static int see_no_gap(const struct syncq_gap *gap, void *context)
{
    (void)gap;
    (void)context;
    return 0;
}

/* What never was written is a gap, too: only what tells of a record counts. */
static int see_gap(const struct syncq_gap *gap, void *context)
{
    struct search *search = context;

    if (gap->type == 0 && gap->unreadable == 0 && gap->tail)
        return 0;
    if (!search->salvage->layout_known && gap->type == 0 &&
        gap->unreadable == 0)
        return 0;
    search->report->damage_count++;
    search->report->damage_size += gap->size;
    return 0;
}

/* Nobody knows where segments begin. */
static int scan_file(struct search *search,
                     const struct syncq_log_visitor *visitor)
{
    struct syncq_salvage *salvage = search->salvage;
    struct syncq_scan_area area = {
        .key = salvage->has_key ? &salvage->queue.key : NULL, .any_lsn = 1};

    area.offset =
        salvage->file_size < SYNCQ_DATA_OFFSET ? 0 : SYNCQ_DATA_OFFSET;
    area.size = salvage->file_size - area.offset;
    return syncq_log_scan_area(&search->reader, &area, visitor);
}

/* A file that was cut short ends in the middle of a segment. */
static int scan_segment(struct search *search, uint32_t segment,
                        const struct syncq_log_visitor *visitor)
{
    struct syncq_salvage *salvage = search->salvage;
    const struct syncq_data *data = &salvage->queue.data;
    uint64_t start = syncq_data_segment_offset(data, segment);
    struct syncq_scan_area area = {.key = &salvage->queue.key,
                                   .offset = start + SYNCQ_PAGE_SIZE,
                                   .size =
                                       data->segment_size - 2 * SYNCQ_PAGE_SIZE,
                                   .segment = segment};
    struct syncq_segment_page page;
    int result =
        syncq_data_read_segment_page(data, &salvage->queue.key, segment, &page);

    if (result == 0 && page.state == SYNCQ_SEGMENT_FREE)
        return 0;
    if (salvage->file_size <= area.offset)
        return 0;
    if (salvage->file_size < area.offset + area.size)
        area.size = salvage->file_size - area.offset;
    if (result != 0) /* the newest record tells, unless none is left */
        result = syncq_log_find_base_in(&search->reader, &area, &page.base_lsn);
    if (result != 0)
        return result == SYNCQ_ERR_BAD_RECORD ? 0 : result;
    area.lsn = page.base_lsn + SYNCQ_PAGE_SIZE;
    return syncq_log_scan_area(&search->reader, &area, visitor);
}

static int scan_all(struct search *search,
                    const struct syncq_log_visitor *visitor)
{
    uint32_t count = search->salvage->queue.data.segment_count;
    int result = 0;

    if (!search->salvage->layout_known)
        return scan_file(search, visitor);
    for (uint32_t i = 0; i < count && result == 0; i++)
        result = scan_segment(search, i, visitor);
    return result;
}

/* Twice: what was done about a message stands behind it in the log. */
static int search_twice(struct search *search)
{
    struct syncq_salvage *salvage = search->salvage;
    const struct syncq_log_visitor marks = {see_marks, see_no_gap, search};
    const struct syncq_log_visitor messages = {see_message, see_gap, search};
    int result = 0;

    if (salvage->queue.index.map != NULL)
        result = syncq_salvage_states_add_index(&salvage->states,
                                                &salvage->queue.index);
    /* Without the key anybody's mail could say what was delivered. */
    if (result == 0 && salvage->has_key)
        result = scan_all(search, &marks);
    search->pass_offset = salvage->file_size;
    return result == 0 ? scan_all(search, &messages) : result;
}

int syncq_salvage_run(struct syncq_salvage *salvage,
                      const struct syncq_salvage_visitor *visitor,
                      struct syncq_salvage_report *report)
{
    struct search search = {
        .salvage = salvage, .visitor = visitor, .report = report};
    int result;

    *report = (struct syncq_salvage_report){
        .layout_known = salvage->layout_known,
        .index_used = salvage->queue.index.map != NULL};
    result = syncq_log_reader_init(&search.reader, salvage->queue.data.fd, 0);
    search.reader.progress = tell_progress;
    search.reader.context = &search;
    if (result == 0)
        result = search_twice(&search);
    syncq_log_reader_clear(&search.reader);
    free(search.part_states);
    return result;
}
