/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "module/file.h"
#include "module/fill.h"
#include "module/limits.h"
#include "module/segment_format.h"

enum { CHUNK_SIZE = 1 << 20 };

int syncq_fill_zeros(int fd, uint64_t start, uint64_t end,
                     const struct syncq_fill_progress *progress)
{
    uint8_t *zeros = calloc(1, CHUNK_SIZE);
    int result = zeros == NULL ? ENOMEM : 0;

    for (uint64_t at = start; at < end && result == 0; at += CHUNK_SIZE) {
        uint64_t done = at - start;

        result = syncq_file_write(fd, zeros, CHUNK_SIZE, (off_t)at);
        /* Now and then: the bar then shows the disk, not the page cache. */
        if (result == 0 && done % (64 * CHUNK_SIZE) == 0 && fdatasync(fd) != 0)
            result = errno;
        if (progress->call != NULL)
            progress->call(done, end - start, progress->context);
    }
    free(zeros);
    return result;
}

int syncq_fill_segments(int fd, const struct syncq_key *key,
                        const struct syncq_superblock *superblock,
                        uint32_t first)
{
    uint64_t size = superblock->segment_size;
    int result = 0;

    for (uint32_t i = first; i < superblock->segment_count && result == 0;
         i++) {
        struct syncq_segment_page page = {
            .number = i, .change = 1, .state = SYNCQ_SEGMENT_FREE};
        off_t start = (off_t)(SYNCQ_DATA_OFFSET + size * i);

        syncq_segment_page_seal(&page, key);
        result = syncq_file_write(fd, &page, sizeof page, start);
        if (result == 0)
            result = syncq_file_write(fd, &page, sizeof page,
                                      start + (off_t)(size - SYNCQ_PAGE_SIZE));
    }
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    return result;
}
