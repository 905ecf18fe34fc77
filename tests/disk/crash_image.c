/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/disk/crash_image.h"

struct builder {
    int fd;
    const struct crash_cut *cut;
    uint64_t random;
    struct crash_report report;
};

/* splitmix64: the next of a repeatable row of numbers. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int put_bytes(int fd, const uint8_t *data, uint64_t offset,
                     uint64_t length)
{
    while (length > 0) {
        ssize_t count = pwrite(fd, data, (size_t)length, (off_t)offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        data += count;
        offset += (uint64_t)count;
        length -= (uint64_t)count;
    }
    return 0;
}

static int put(int fd, const struct write_log_entry *entry, uint64_t skip,
               uint64_t length)
{
    off_t offset = (off_t)(entry->offset + skip);

    if (length == 0)
        return 0;
    if (entry->type == WRITE_LOG_WRITE)
        return put_bytes(fd, entry->data + skip, (uint64_t)offset, length);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                  (off_t)length) != 0)
        return errno;
    return 0;
}

static int is_chosen(struct builder *builder,
                     const struct write_log_entry *entry)
{
    switch (builder->cut->choice) {
    case CRASH_ALL:
        return entry->result == 0;
    case CRASH_NONE:
        return 0;
    case CRASH_FEW:
        return (random_next(&builder->random) & 7) == 0;
    case CRASH_MOST:
        return (random_next(&builder->random) & 7) != 0;
    default:
        return (random_next(&builder->random) & 1) != 0;
    }
}

/* Put those units of an entry in place that the power cut let through. */
static int put_some(struct builder *builder,
                    const struct write_log_entry *entry)
{
    uint64_t skip, length, unit = builder->cut->unit;
    int result = 0;

    for (skip = 0; skip < entry->length && result == 0; skip += length) {
        length = unit - (entry->offset + skip) % unit;
        if (length > entry->length - skip)
            length = entry->length - skip;
        if (!is_chosen(builder, entry)) {
            builder->report.left++;
            continue;
        }
        builder->report.chosen++;
        result = put(builder->fd, entry, skip, length);
    }
    return result;
}

/* Even before a flush a write that was answered with an error is doubtful. */
static int put_entry(struct builder *builder,
                     const struct write_log_entry *entry)
{
    if (entry->type == WRITE_LOG_FLUSH || entry->type == WRITE_LOG_MARK)
        return 0;
    if (entry->number < builder->report.flush && entry->result == 0)
        return put(builder->fd, entry, 0, entry->length);
    return put_some(builder, entry);
}

/* The last flush up to this entry that succeeded; *flush stays when there is
 * none from position on. */
static int find_flush(const struct write_log *log, size_t position,
                      uint64_t number, uint64_t *flush)
{
    struct write_log_entry entry;
    int result;

    while ((result = write_log_next(log, &position, &entry)) == 0 &&
           entry.number <= number) {
        if (entry.type == WRITE_LOG_FLUSH && entry.result == 0)
            *flush = entry.number;
    }
    return result == ENODATA ? 0 : result;
}

/* Everything from position up to the cut. */
static int put_rest(const struct write_log *log, size_t position,
                    struct builder *builder)
{
    struct write_log_entry entry;
    int result = 0;

    while (result == 0) {
        result = write_log_next(log, &position, &entry);
        if (result != 0 || entry.number > builder->cut->number)
            break;
        result = put_entry(builder, &entry);
    }
    return result == ENODATA ? 0 : result;
}

int crash_image_build(const struct write_log *log, const struct crash_cut *cut,
                      int fd, struct crash_report *report)
{
    struct builder builder = {.fd = fd, .cut = cut, .random = cut->seed};
    size_t first = write_log_first(log);
    int result;

    if (cut->unit < CRASH_IMAGE_UNIT)
        return EINVAL;
    result = find_flush(log, first, cut->number, &builder.report.flush);
    if (result == 0)
        result = put_rest(log, first, &builder);
    if (result == 0)
        *report = builder.report;
    return result;
}

int crash_base_advance(const struct write_log *log, uint64_t number,
                       struct crash_base *base)
{
    struct write_log_entry entry = {.number = base->flush};
    uint64_t flush = base->flush;
    int result;

    if (base->position == 0)
        base->position = write_log_first(log);
    result = find_flush(log, base->position, number, &flush);
    while (result == 0 && base->flush < flush) {
        result = write_log_next(log, &base->position, &entry);
        if (result == 0 && entry.type != WRITE_LOG_FLUSH &&
            entry.type != WRITE_LOG_MARK)
            result = entry.result != 0 ? ENOTSUP
                                       : put(base->fd, &entry, 0, entry.length);
        if (result == 0)
            base->flush = entry.number;
    }
    return result;
}

int crash_base_build(const struct write_log *log, const struct crash_base *base,
                     const struct crash_cut *cut, int fd,
                     struct crash_report *report)
{
    struct builder builder = {.fd = fd,
                              .cut = cut,
                              .random = cut->seed,
                              .report = {.flush = base->flush}};
    int result = cut->unit < CRASH_IMAGE_UNIT ? EINVAL : 0;

    if (result == 0)
        result = put_rest(log, base->position, &builder);
    if (result == 0)
        *report = builder.report;
    return result;
}
