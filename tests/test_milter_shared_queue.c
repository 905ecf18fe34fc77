/* SPDX-License-Identifier: MIT */
/*
 * The module's queue is a fake: what counts here is when it is opened and
 * closed, and by whom.
 */
#include <pthread.h>
#include <string.h>

#include "milter/shared_queue.h"
#include "module/error.h"
#include "tests/cmocka_all.h"

static struct {
    int open_result, usable_result;
    unsigned open_count, close_count;
    int in_use;                /* opened and not closed */
    int hold_open;             /* open waits for the two below */
    pthread_barrier_t reached; /* open was called */
    pthread_barrier_t release; /* open may go on */
} fake;

static char the_queue;

int syncq_queue_open(const char *directory, const char *run_directory,
                     enum syncq_open_mode mode, struct syncq_queue **queue)
{
    (void)directory;
    (void)run_directory;
    (void)mode;
    if (fake.hold_open) {
        pthread_barrier_wait(&fake.reached);
        pthread_barrier_wait(&fake.release);
    }
    fake.open_count++;
    if (fake.open_result)
        return fake.open_result;
    fake.in_use++;
    *queue = (struct syncq_queue *)&the_queue;
    return 0;
}

void syncq_queue_close(struct syncq_queue *queue)
{
    if (!queue)
        return;
    fake.close_count++;
    fake.in_use--;
}

int syncq_queue_usable(struct syncq_queue *queue)
{
    (void)queue;
    return fake.usable_result;
}

int syncq_queue_status(struct syncq_queue *queue,
                       struct syncq_queue_status *status)
{
    (void)queue;
    status->message_size_max = 99;
    return 0;
}

int syncq_queue_uuid(const char *directory, uint8_t uuid[SYNCQ_UUID_SIZE])
{
    (void)directory;
    (void)uuid;
    return SYNCQ_ERR_NO_QUEUE;
}

static const struct config config = {
    .queue_directory = (char *)(uintptr_t) "/queue",
    .run_directory = (char *)(uintptr_t) "/run"};

static int setup(void **state)
{
    struct shared_queue *shared = NULL;

    memset(&fake, 0, sizeof(fake));
    if (shared_queue_new(&config, "/queue", 0, &shared))
        return -1;
    *state = shared;
    return 0;
}

static int teardown(void **state)
{
    shared_queue_free(*state);
    return 0;
}

static int take(struct shared_queue *shared)
{
    struct syncq_queue *queue = NULL;
    uint64_t message_size_max = 0;
    int result = shared_queue_take(shared, &queue, &message_size_max);

    if (!result) {
        assert_ptr_equal(queue, &the_queue);
        assert_int_equal(message_size_max, 99);
    }
    return result;
}

static void test_shared_queue__several_users__share_one(void **state)
{
    assert_result(take(*state), 0);
    assert_result(take(*state), 0);
    assert_int_equal(fake.open_count, 1);
    shared_queue_put(*state);
    shared_queue_put(*state);
    assert_int_equal(fake.close_count, 0);
}

static void test_shared_queue__cannot_be_opened__is_tried_again(void **state)
{
    fake.open_result = SYNCQ_ERR_NO_HELPER;
    assert_result(take(*state), SYNCQ_ERR_NO_HELPER);
    fake.open_result = SYNCQ_ERR_RECOVERING;
    assert_result(take(*state), SYNCQ_ERR_RECOVERING);
    fake.open_result = 0;
    assert_result(take(*state), 0);
    assert_int_equal(fake.open_count, 3);
    shared_queue_put(*state);
}

static void
test_shared_queue__cannot_be_opened__is_left_alone_for_a_while(void **state)
{
    struct shared_queue *patient;

    (void)state;
    assert_result(shared_queue_new(&config, "/queue", 3600 * 1000, &patient),
                  0);
    fake.open_result = SYNCQ_ERR_NO_HELPER;
    assert_result(take(patient), SYNCQ_ERR_NO_HELPER);
    fake.open_result = 0;
    assert_result(take(patient), SYNCQ_ERR_NO_HELPER);
    assert_int_equal(fake.open_count, 1);
    shared_queue_free(patient);
}

static void
test_shared_queue__replaced_channel__is_reopened_after_last_user(void **state)
{
    assert_result(take(*state), 0);
    assert_result(take(*state), 0);
    fake.usable_result = SYNCQ_ERR_DETACHED;
    assert_result(take(*state), SYNCQ_ERR_DETACHED);
    shared_queue_put(*state);
    assert_result(take(*state), SYNCQ_ERR_DETACHED);
    assert_int_equal(fake.close_count, 0);
    shared_queue_put(*state);
    assert_int_equal(fake.close_count, 1);
    fake.usable_result = 0;
    assert_result(take(*state), 0);
    assert_int_equal(fake.open_count, 2);
    assert_int_equal(fake.in_use, 1);
    shared_queue_put(*state);
}

static void
test_shared_queue__replaced_channel_unused__is_reopened_at_once(void **state)
{
    assert_result(take(*state), 0);
    shared_queue_put(*state);
    fake.usable_result = SYNCQ_ERR_DETACHED;
    assert_result(take(*state), 0);
    assert_int_equal(fake.close_count, 1);
    assert_int_equal(fake.open_count, 2);
    fake.usable_result = 0;
    shared_queue_put(*state);
}

static void test_shared_queue__latched__stays_open(void **state)
{
    assert_result(take(*state), 0);
    shared_queue_put(*state);
    fake.usable_result = SYNCQ_ERR_LATCHED;
    assert_result(take(*state), SYNCQ_ERR_LATCHED);
    assert_int_equal(fake.close_count, 0);
}

static void *take_in_thread(void *shared)
{
    struct syncq_queue *queue;
    uint64_t message_size_max;

    if (!shared_queue_take(shared, &queue, &message_size_max))
        shared_queue_put(shared);
    return NULL;
}

static void test_shared_queue__while_one_opens__others_do_not_wait(void **state)
{
    pthread_t thread;

    pthread_barrier_init(&fake.reached, NULL, 2);
    pthread_barrier_init(&fake.release, NULL, 2);
    fake.hold_open = 1;
    assert_int_equal(pthread_create(&thread, NULL, take_in_thread, *state), 0);
    pthread_barrier_wait(&fake.reached);
    /* The other thread is inside open; this returns or the test hangs. */
    assert_result(take(*state), SYNCQ_ERR_NO_HELPER);
    pthread_barrier_wait(&fake.release);
    pthread_join(thread, NULL);
    fake.hold_open = 0;
    assert_result(take(*state), 0);
    shared_queue_put(*state);
    assert_int_equal(fake.open_count, 1);
}

static void
test_shared_queue__in_the_background__only_the_check_opens(void **state)
{
    shared_queue_set_use(*state, 1, 1);
    assert_result(take(*state), SYNCQ_ERR_DETACHED);
    assert_int_equal(fake.open_count, 0);
    shared_queue_check(*state);
    assert_int_equal(fake.open_count, 1);
    assert_result(take(*state), 0);
    shared_queue_put(*state);
}

static void test_shared_queue__not_wanted__is_closed_and_stays_so(void **state)
{
    assert_result(take(*state), 0);
    shared_queue_set_use(*state, 0, 1);
    shared_queue_check(*state);
    assert_int_equal(fake.in_use, 1); /* a mail holds it */
    shared_queue_put(*state);
    assert_int_equal(fake.in_use, 0);
    shared_queue_check(*state);
    assert_true(take(*state) != 0);
    assert_int_equal(fake.open_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shared_queue__several_users__share_one),
        TEST(test_shared_queue__cannot_be_opened__is_tried_again),
        TEST(test_shared_queue__cannot_be_opened__is_left_alone_for_a_while),
        TEST(test_shared_queue__replaced_channel__is_reopened_after_last_user),
        TEST(test_shared_queue__replaced_channel_unused__is_reopened_at_once),
        TEST(test_shared_queue__latched__stays_open),
        TEST(test_shared_queue__while_one_opens__others_do_not_wait),
        TEST(test_shared_queue__in_the_background__only_the_check_opens),
        TEST(test_shared_queue__not_wanted__is_closed_and_stays_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
