/* SPDX-License-Identifier: MIT */
/*
 * data_write.c - copy a record into the page cache of the data file
 *
 * The mapping and this call share the page cache, so the helper's msync covers
 * what was written here.  Storing through the mapping instead costs a page
 * fault for each page after each msync, because msync write-protects what it
 * writes, and an interrupt to every core that runs a writer: half of the
 * throughput with two cores.  It also turns a bad sector or a file cut short
 * into SIGBUS, which is one errno here.
 */
#include <errno.h>
#include <sys/uio.h>

#include "module/data.h"
#include "module/error.h"
#include "module/failpoint.h"

enum {
    PIECES_AT_ONCE = 16,
    BYTES_AT_ONCE = 256 << 10, /* the kernel locks the file for one call */
};

/* How far a list of pieces has been written. */
struct cursor {
    const struct iovec *pieces;
    size_t count;
    size_t done; /* bytes of the first piece */
};

static int next_pieces(const struct cursor *cursor, struct iovec *pieces)
{
    size_t room = BYTES_AT_ONCE, done = cursor->done;
    int count = 0;

    for (size_t i = 0; i < cursor->count && count < PIECES_AT_ONCE && room > 0;
         i++) {
        size_t size = cursor->pieces[i].iov_len - done;

        if (size == 0)
            continue; /* its base may be NULL */
        if (size > room)
            size = room;
        pieces[count++] =
            (struct iovec){(char *)cursor->pieces[i].iov_base + done, size};
        room -= size;
        done = 0;
    }
    return count;
}

static void advance(struct cursor *cursor, size_t written)
{
    written += cursor->done;
    while (cursor->count > 0 && written >= cursor->pieces->iov_len) {
        written -= cursor->pieces->iov_len;
        cursor->pieces++;
        cursor->count--;
    }
    cursor->done = written;
}

int syncq_data_write(struct syncq_data *data, uint32_t segment, uint64_t offset,
                     const struct iovec *pieces, size_t count)
{
    struct cursor cursor = {pieces, count, 0};
    uint64_t at = syncq_data_segment_offset(data, segment) + offset;

    if (segment >= data->segment_count || offset >= data->segment_size)
        return SYNCQ_ERR_RANGE;
    advance(&cursor, 0);
    while (cursor.count > 0) {
        struct iovec next[PIECES_AT_ONCE];
        ssize_t written =
            pwritev(data->fd, next, next_pieces(&cursor, next), (off_t)at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : EIO;
        at += (uint64_t)written;
        advance(&cursor, (size_t)written);
        SYNCQ_FAILPOINT("append.some-copied");
    }
    return 0;
}
