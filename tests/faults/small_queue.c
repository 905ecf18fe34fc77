/* SPDX-License-Identifier: MIT */
#include "tests/faults/small_queue.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module/error.h"
#include "module/file.h"
#include "tests/cmocka_all.h"

int __real_syncq_superblock_check(const struct syncq_superblock *superblock,
                                  const struct syncq_key *key);
int __wrap_syncq_superblock_check(const struct syncq_superblock *superblock,
                                  const struct syncq_key *key);

/* The limits are looked at last, so all else is right already. */
int __wrap_syncq_superblock_check(const struct syncq_superblock *superblock,
                                  const struct syncq_key *key)
{
    int result = __real_syncq_superblock_check(superblock, key);
    struct syncq_superblock usual = *superblock;
    uint64_t size = superblock->segment_size;

    if (result != SYNCQ_ERR_RANGE || size < 4 * SYNCQ_PAGE_SIZE ||
        size >= SYNCQ_SEGMENT_SIZE_MIN || size % SYNCQ_PAGE_SIZE != 0)
        return result;
    usual.segment_size = SYNCQ_SEGMENT_SIZE_MIN;
    usual.file_size =
        SYNCQ_DATA_OFFSET + usual.segment_count * usual.segment_size;
    syncq_superblock_seal(&usual, key);
    return __real_syncq_superblock_check(&usual, key);
}

void small_queue_begin(void)
{
    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 1);
    (void)fixture_group_setup(NULL);
}

void small_queue_end(void)
{
    (void)fixture_group_teardown(NULL);
}

static void write_pages(const struct fixture *fixture,
                        const struct syncq_key *key,
                        struct syncq_superblock *superblock)
{
    uint64_t size = superblock->segment_size;

    for (uint32_t i = 0; i < superblock->segment_count; i++) {
        struct syncq_segment_page page = {
            .number = i, .change = 1, .state = SYNCQ_SEGMENT_FREE};
        uint64_t start = SYNCQ_DATA_OFFSET + size * i;

        syncq_segment_page_seal(&page, key);
        fixture_overwrite(fixture, SYNCQ_DATA_FILE, start, &page, sizeof page);
        fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                          start + size - SYNCQ_PAGE_SIZE, &page, sizeof page);
    }
    for (int i = 0; i < 2; i++) {
        superblock->generation++;
        syncq_superblock_seal(superblock, key);
        fixture_overwrite(fixture, SYNCQ_DATA_FILE,
                          (superblock->generation & 1) * SYNCQ_PAGE_SIZE,
                          superblock, sizeof *superblock);
    }
}

/* The files of a queue that nobody has started. */
static struct syncq_queue *open_files(const struct fixture *fixture)
{
    struct syncq_queue *queue;

    assert_result(
        syncq_queue_open_files(fixture->queue, fixture->run, 1, &queue), 0);
    return queue;
}

struct fixture *small_queue_new(uint64_t segment_size, uint32_t segment_count)
{
    struct fixture *fixture = fixture_new();
    struct syncq_queue *queue = open_files(fixture);
    struct syncq_superblock superblock = queue->data.superblock;

    superblock.segment_size = superblock.lsn_limit = segment_size;
    superblock.segment_count = segment_count;
    superblock.entry_count = SMALL_ENTRY_COUNT;
    superblock.file_size = SYNCQ_DATA_OFFSET + segment_size * segment_count;
    assert_int_equal(ftruncate(queue->data.fd, (off_t)superblock.file_size), 0);
    write_pages(fixture, &queue->key, &superblock);
    assert_int_equal(unlinkat(queue->directory_fd, SYNCQ_INDEX_FILE, 0), 0);
    assert_result(syncq_index_create(queue->directory_fd, SYNCQ_INDEX_FILE,
                                     queue->key.uuid, SMALL_ENTRY_COUNT),
                  0);
    syncq_queue_close(queue);
    return fixture;
}

void small_queue_set_limit(struct fixture *fixture, uint64_t lsn_limit)
{
    struct syncq_queue *queue = open_files(fixture);

    queue->data.superblock.lsn_limit = lsn_limit;
    write_pages(fixture, &queue->key, &queue->data.superblock);
    syncq_queue_close(queue);
}

void file_copy_take(struct file_copy *copy, const struct fixture *fixture,
                    const char *name)
{
    int fd = open(fixture_path(fixture, name), O_RDONLY | O_CLOEXEC);
    struct stat status;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    free(copy->bytes);
    copy->size = (size_t)status.st_size;
    copy->bytes = malloc(copy->size + 1);
    assert_non_null(copy->bytes);
    assert_int_equal(syncq_file_read(fd, copy->bytes, copy->size, 0), 0);
    close(fd);
}

void file_copy_put(const struct file_copy *copy, const struct fixture *fixture,
                   const char *name)
{
    int fd =
        open(fixture_path(fixture, name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(syncq_file_write(fd, copy->bytes, copy->size, 0), 0);
    assert_int_equal(ftruncate(fd, (off_t)copy->size), 0);
    close(fd);
}

void file_copy_clear(struct file_copy *copy)
{
    free(copy->bytes);
    *copy = (struct file_copy){0};
}
