/* SPDX-License-Identifier: MIT */
#include "tests/sync_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cmocka_all.h"

int __real_msync(void *address, size_t size, int flags);
int __real_fsync(int fd);
int __real_syncq_latch_set(int directory_fd, uint64_t durable_lsn);
int __wrap_msync(void *address, size_t size, int flags);
int __wrap_fsync(int fd);
int __wrap_syncq_latch_set(int directory_fd, uint64_t durable_lsn);

struct hook {
    void (*call)(void *context);
    void *context;
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct fixture *fixture; /* NULL: no control */
    struct fixture *medium;  /* the queue as on the medium */
    int hold, held, pass, fail_next, fail_index;
    int any_file; /* also what is not in the fixture's own queue */
    uint64_t count, fail_from, fail_nth;
    int nth_error;
    const char *failed_file;
    struct hook before, each, latch;
} control = {.mutex = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER};

/* A place in one of the queue's files. */
struct place {
    const char *name;
    uint64_t offset;
    int is_segment;
};

static int inside(const uint8_t *map, uint64_t size, const uint8_t *address)
{
    return map != NULL && address >= map && address < map + size;
}

static int find_place(const uint8_t *address, struct place *place)
{
    const struct syncq_queue *queue =
        control.fixture == NULL ? NULL : control.fixture->helper.queue;

    if (queue == NULL)
        return 0;
    if (inside(queue->index.map, queue->index.map_size, address)) {
        *place = (struct place){SYNCQ_INDEX_FILE,
                                (uint64_t)(address - queue->index.map), 0};
        return 1;
    }
    if (inside(queue->data.head_map, 2 * SYNCQ_PAGE_SIZE, address)) {
        *place = (struct place){SYNCQ_DATA_FILE,
                                (uint64_t)(address - queue->data.head_map), 0};
        return 1;
    }
    for (uint32_t i = 0; queue->data.maps && i < queue->data.segment_count;
         i++) {
        const uint8_t *map = atomic_load(&queue->data.maps[i]);

        if (!inside(map, queue->data.segment_size, address))
            continue;
        *place = (struct place){SYNCQ_DATA_FILE,
                                syncq_data_segment_offset(&queue->data, i) +
                                    (uint64_t)(address - map),
                                1};
        return 1;
    }
    return 0;
}

static struct hook take(struct hook *hook)
{
    struct hook taken = *hook;

    *hook = (struct hook){0};
    return taken;
}

/* Called with the mutex held; the hook is called without it. */
static void call_each(void)
{
    struct hook hook = control.each;

    if (hook.call == NULL)
        return;
    pthread_mutex_unlock(&control.mutex);
    hook.call(hook.context);
    pthread_mutex_lock(&control.mutex);
}

/* Is it this one's turn to fail?  Called with the mutex held. */
static int count_and_fail(const char *name)
{
    control.count++;
    if (control.fail_nth != 0 && control.count == control.fail_nth) {
        control.failed_file = name;
        return control.nth_error;
    }
    return control.fail_from != 0 && control.count >= control.fail_from ? EIO
                                                                        : 0;
}

/* Called with the mutex held; it is given up while an msync is stopped. */
static int obey(const struct place *place)
{
    int error = count_and_fail(place->name);

    if (error != 0)
        return error;
    if (control.fail_index && strcmp(place->name, SYNCQ_INDEX_FILE) == 0)
        return EIO;
    if (!place->is_segment)
        return 0;
    if (control.before.call != NULL) {
        struct hook hook = take(&control.before);

        pthread_mutex_unlock(&control.mutex);
        hook.call(hook.context);
        pthread_mutex_lock(&control.mutex);
    }
    while (control.hold && !control.pass) {
        control.held = 1;
        pthread_cond_broadcast(&control.changed);
        pthread_cond_wait(&control.changed, &control.mutex);
    }
    control.held = control.pass = 0;
    error = control.fail_next;
    control.fail_next = 0;
    return error;
}

int __wrap_msync(void *address, size_t size, int flags)
{
    struct place place;
    uint8_t *before = NULL;
    int error, result;

    pthread_mutex_lock(&control.mutex);
    if (!find_place(address, &place)) {
        error = control.any_file ? count_and_fail(NULL) : 0;
        if (error != 0) {
            pthread_mutex_unlock(&control.mutex);
            errno = error;
            return -1;
        }
        pthread_mutex_unlock(&control.mutex);
        return __real_msync(address, size, flags);
    }
    call_each();
    error = obey(&place);
    pthread_mutex_unlock(&control.mutex);
    if (error != 0) {
        errno = error;
        return -1;
    }
    /* What is stored from now on may reach the medium, or not. */
    before = malloc(size);
    if (before != NULL)
        memcpy(before, address, size);
    result = __real_msync(address, size, flags);
    pthread_mutex_lock(&control.mutex);
    if (result == 0 && before != NULL && control.medium != NULL)
        fixture_overwrite(control.medium, place.name, place.offset, before,
                          size);
    pthread_mutex_unlock(&control.mutex);
    free(before);
    return result;
}

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length > strlen(end) &&
           strcmp(text + length - strlen(end), end) == 0;
}

/* What a grow has appended to a file: behind what is in use. */
static void copy_tail(const char *path, const char *name, uint64_t start)
{
    uint8_t *tail;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = lseek(fd, 0, SEEK_END);

    assert_true(fd >= 0 && end >= 0);
    if ((uint64_t)end > start) {
        tail = malloc((size_t)end - start);
        assert_non_null(tail);
        assert_int_equal(pread(fd, tail, (size_t)end - start, (off_t)start),
                         (size_t)end - start);
        fixture_overwrite(control.medium, name, start, tail,
                          (size_t)end - start);
        free(tail);
    }
    close(fd);
}

/* Recovery makes a new index under another name and renames it: taken for
 * done as soon as the file is synced. */
static void copy_synced(const char *path)
{
    const struct syncq_queue *queue = control.fixture->helper.queue;

    if (ends_with(path, "/" SYNCQ_INDEX_FILE ".new"))
        fixture_copy_path(path, control.medium, SYNCQ_INDEX_FILE);
    else if (queue != NULL && ends_with(path, "/" SYNCQ_DATA_FILE))
        copy_tail(path, SYNCQ_DATA_FILE, queue->data.file_size);
    else if (queue != NULL && ends_with(path, "/" SYNCQ_INDEX_FILE))
        copy_tail(path, SYNCQ_INDEX_FILE, queue->index.map_size);
}

int __wrap_fsync(int fd)
{
    char link[64], path[1024] = "";
    int error = 0, result;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0)
        path[0] = '\0';
    pthread_mutex_lock(&control.mutex);
    if (control.fixture != NULL)
        call_each();
    pthread_mutex_unlock(&control.mutex);
    result = __real_fsync(fd);
    pthread_mutex_lock(&control.mutex);
    if (control.fixture != NULL)
        error = count_and_fail(SYNCQ_INDEX_FILE);
    if (error == 0 && result == 0 && control.fixture != NULL &&
        control.medium != NULL)
        copy_synced(path);
    pthread_mutex_unlock(&control.mutex);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return result;
}

int __wrap_syncq_latch_set(int directory_fd, uint64_t durable_lsn)
{
    struct hook hook;

    pthread_mutex_lock(&control.mutex);
    hook = take(&control.latch);
    pthread_mutex_unlock(&control.mutex);
    if (hook.call != NULL)
        hook.call(hook.context);
    return __real_syncq_latch_set(directory_fd, durable_lsn);
}

void sync_control_start_with(struct fixture *fixture, struct fixture *medium)
{
    pthread_mutex_lock(&control.mutex);
    control.fixture = fixture;
    control.medium = medium;
    control.count = control.fail_from = control.fail_nth = 0;
    control.failed_file = NULL;
    control.hold = control.held = control.pass = 0;
    control.fail_next = control.fail_index = control.any_file = 0;
    control.before = control.each = control.latch = (struct hook){0};
    pthread_mutex_unlock(&control.mutex);
}

void sync_control_start(struct fixture *fixture)
{
    sync_control_start_with(fixture, fixture_image(fixture));
}

void sync_control_start_light(struct fixture *fixture)
{
    sync_control_start_with(fixture, NULL);
}

void sync_control_stop(void)
{
    struct fixture *medium;

    pthread_mutex_lock(&control.mutex);
    medium = control.medium;
    control.fixture = control.medium = NULL;
    control.hold = control.any_file = 0;
    pthread_cond_broadcast(&control.changed);
    pthread_mutex_unlock(&control.mutex);
    fixture_free(medium);
}

void sync_hold(void)
{
    pthread_mutex_lock(&control.mutex);
    control.hold = 1;
    pthread_mutex_unlock(&control.mutex);
}

void sync_wait_held(void)
{
    pthread_mutex_lock(&control.mutex);
    while (!control.held)
        pthread_cond_wait(&control.changed, &control.mutex);
    pthread_mutex_unlock(&control.mutex);
}

void sync_pass(void)
{
    pthread_mutex_lock(&control.mutex);
    assert_true(control.held);
    control.pass = 1;
    control.held = 0;
    pthread_cond_broadcast(&control.changed);
    pthread_mutex_unlock(&control.mutex);
}

void sync_release(void)
{
    pthread_mutex_lock(&control.mutex);
    control.hold = 0;
    pthread_cond_broadcast(&control.changed);
    pthread_mutex_unlock(&control.mutex);
}

void sync_fail_next(int error)
{
    pthread_mutex_lock(&control.mutex);
    control.fail_next = error;
    pthread_mutex_unlock(&control.mutex);
}

void sync_fail_index(void)
{
    pthread_mutex_lock(&control.mutex);
    control.fail_index = 1;
    pthread_mutex_unlock(&control.mutex);
}

void sync_fail_from(uint64_t n)
{
    pthread_mutex_lock(&control.mutex);
    control.fail_from = n == 0 ? 0 : control.count + n;
    pthread_mutex_unlock(&control.mutex);
}

void sync_fail_all_from(uint64_t n)
{
    sync_fail_from(n);
    pthread_mutex_lock(&control.mutex);
    control.any_file = 1;
    pthread_mutex_unlock(&control.mutex);
}

void sync_fail_nth(uint64_t n, int error)
{
    pthread_mutex_lock(&control.mutex);
    control.fail_nth = n == 0 ? 0 : control.count + n;
    control.nth_error = error;
    pthread_mutex_unlock(&control.mutex);
}

const char *sync_failed_file(void)
{
    const char *name;

    pthread_mutex_lock(&control.mutex);
    name = control.failed_file;
    pthread_mutex_unlock(&control.mutex);
    return name;
}

uint64_t sync_count(void)
{
    uint64_t count;

    pthread_mutex_lock(&control.mutex);
    count = control.count;
    pthread_mutex_unlock(&control.mutex);
    return count;
}

void sync_before_next(void (*hook)(void *context), void *context)
{
    pthread_mutex_lock(&control.mutex);
    control.before = (struct hook){hook, context};
    pthread_mutex_unlock(&control.mutex);
}

void sync_before_each(void (*hook)(void *context), void *context)
{
    pthread_mutex_lock(&control.mutex);
    control.each = (struct hook){hook, context};
    pthread_mutex_unlock(&control.mutex);
}

void sync_on_latch(void (*hook)(void *context), void *context)
{
    pthread_mutex_lock(&control.mutex);
    control.latch = (struct hook){hook, context};
    pthread_mutex_unlock(&control.mutex);
}

struct fixture *sync_power_cut(void)
{
    struct fixture *image;

    pthread_mutex_lock(&control.mutex);
    /* The latch is written O_DSYNC: it is as durable as it looks. */
    fixture_copy_file(control.fixture, control.medium, SYNCQ_LATCH_FILE);
    image = fixture_image(control.medium);
    pthread_mutex_unlock(&control.mutex);
    return image;
}

int sync_control_setup(void **state)
{
    (void)fixture_setup_running(state);
    sync_control_start(*state);
    return 0;
}

int sync_control_teardown(void **state)
{
    sync_control_stop();
    return fixture_teardown(state);
}
