/* SPDX-License-Identifier: MIT */
#include "tests/faults/schedule.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS_MAX = 64, BASE_US = 1000000000, PASS_US_MAX = 300 };

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_syncq_futex_wait(_Atomic uint32_t *word, uint32_t value,
                            int64_t timeout_us);
void __real_syncq_futex_wake(_Atomic uint32_t *word);
uint64_t __real_syncq_clock_us(void);
int64_t __real_syncq_date_us(void);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_syncq_futex_wait(_Atomic uint32_t *word, uint32_t value,
                            int64_t timeout_us);
void __wrap_syncq_futex_wake(_Atomic uint32_t *word);
uint64_t __wrap_syncq_clock_us(void);
int64_t __wrap_syncq_date_us(void);

enum task_state {
    TASK_FREE = 0,
    TASK_READY,
    TASK_WAITS,
    TASK_JOINS,
    TASK_ENDED
};

struct task {
    enum task_state state;
    pthread_t thread;
    pthread_cond_t turn;
    void *(*start)(void *);
    void *context;
    _Atomic uint32_t *word; /* waits until it is not value any more */
    uint32_t value;
    uint64_t deadline_us; /* 0: none */
    struct task *joined;
};

static struct {
    pthread_mutex_t lock;
    struct task tasks[TASKS_MAX];
    struct task *running;
    struct chance chance;
    uint64_t now_us;
    int active, paused;
} schedule = {.lock = PTHREAD_MUTEX_INITIALIZER};

static __thread struct task *self;

int schedule_is_task(void)
{
    return self != NULL && schedule.active && !schedule.paused;
}

void schedule_pause(int on)
{
    schedule.paused = on;
}

static int can_run(const struct task *task)
{
    switch (task->state) {
    case TASK_READY:
        return 1;
    case TASK_WAITS:
        return atomic_load(task->word) != task->value ||
               (task->deadline_us != 0 && task->deadline_us <= schedule.now_us);
    case TASK_JOINS:
        return task->joined->state == TASK_ENDED;
    default:
        return 0;
    }
}

/* When does the first deadline pass?  0: nobody has one. */
static uint64_t next_deadline(void)
{
    uint64_t next = 0;

    for (int i = 0; i < TASKS_MAX; i++) {
        const struct task *task = &schedule.tasks[i];

        if (task->state == TASK_WAITS && task->deadline_us != 0 &&
            (next == 0 || task->deadline_us < next))
            next = task->deadline_us;
    }
    return next;
}

static struct task *choose(void)
{
    struct task *ready[TASKS_MAX];
    uint64_t count = 0;

    for (;;) {
        for (int i = 0; i < TASKS_MAX; i++)
            if (can_run(&schedule.tasks[i]))
                ready[count++] = &schedule.tasks[i];
        if (count > 0)
            return ready[chance_below(&schedule.chance, count)];
        schedule.now_us = next_deadline();
        if (schedule.now_us == 0) {
            (void)fprintf(stderr, "all tasks wait for each other\n");
            abort();
        }
    }
}

/* Under the lock: give the turn away, and return when it is back. */
static void pass_turn(void)
{
    struct task *next = choose();

    schedule.running = next;
    if (next != self)
        (void)pthread_cond_signal(&next->turn);
    while (schedule.running != self)
        (void)pthread_cond_wait(&self->turn, &schedule.lock);
    self->state = TASK_READY;
}

void schedule_yield(void)
{
    if (!schedule_is_task())
        return;
    (void)__real_pthread_mutex_lock(&schedule.lock);
    pass_turn();
    (void)pthread_mutex_unlock(&schedule.lock);
}

static struct task *task_new(void)
{
    for (int i = 0; i < TASKS_MAX; i++)
        if (schedule.tasks[i].state == TASK_FREE) {
            schedule.tasks[i].state = TASK_READY;
            (void)pthread_cond_init(&schedule.tasks[i].turn, NULL);
            return &schedule.tasks[i];
        }
    (void)fprintf(stderr, "too many tasks\n");
    abort();
}

void schedule_begin(const struct chance *chance)
{
    schedule.chance = *chance;
    schedule.now_us = BASE_US;
    self = schedule.running = task_new();
    schedule.paused = 0;
    schedule.active = 1;
}

void schedule_end(void)
{
    schedule.active = 0;
    self->state = TASK_FREE;
    self = NULL;
}

static void *task_run(void *context)
{
    struct task *task = context;
    void *result;

    self = task;
    (void)__real_pthread_mutex_lock(&schedule.lock);
    while (schedule.running != self)
        (void)pthread_cond_wait(&self->turn, &schedule.lock);
    (void)pthread_mutex_unlock(&schedule.lock);
    result = task->start(task->context);
    (void)__real_pthread_mutex_lock(&schedule.lock);
    task->state = TASK_ENDED;
    schedule.running = choose();
    (void)pthread_cond_signal(&schedule.running->turn);
    (void)pthread_mutex_unlock(&schedule.lock);
    return result;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *context)
{
    struct task *task;
    int result;

    if (!schedule_is_task())
        return __real_pthread_create(thread, attributes, start, context);
    (void)__real_pthread_mutex_lock(&schedule.lock);
    task = task_new();
    task->start = start;
    task->context = context;
    result = __real_pthread_create(thread, attributes, task_run, task);
    task->thread = *thread;
    if (result != 0)
        task->state = TASK_FREE;
    (void)pthread_mutex_unlock(&schedule.lock);
    schedule_yield();
    return result;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    struct task *task = NULL;
    int error;

    for (int i = 0; schedule_is_task() && i < TASKS_MAX; i++)
        if (schedule.tasks[i].state != TASK_FREE &&
            &schedule.tasks[i] != self &&
            pthread_equal(schedule.tasks[i].thread, thread))
            task = &schedule.tasks[i];
    if (task == NULL)
        return __real_pthread_join(thread, result);
    (void)__real_pthread_mutex_lock(&schedule.lock);
    self->joined = task;
    self->state = TASK_JOINS;
    pass_turn();
    (void)pthread_mutex_unlock(&schedule.lock);
    error = __real_pthread_join(thread, result);
    (void)pthread_cond_destroy(&task->turn);
    *task = (struct task){.state = TASK_FREE};
    return error;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    int result;

    if (!schedule_is_task())
        return __real_pthread_mutex_lock(mutex);
    schedule_yield();
    while ((result = pthread_mutex_trylock(mutex)) == EBUSY) {
        schedule.now_us++; /* its owner may wait for a while to pass */
        schedule_yield();
    }
    return result;
}

int __wrap_syncq_futex_wait(_Atomic uint32_t *word, uint32_t value,
                            int64_t timeout_us)
{
    int result;

    if (!schedule_is_task())
        return __real_syncq_futex_wait(word, value, timeout_us);
    (void)__real_pthread_mutex_lock(&schedule.lock);
    self->word = word;
    self->value = value;
    self->deadline_us =
        timeout_us < 0 ? 0 : schedule.now_us + (uint64_t)timeout_us + 1;
    self->state = TASK_WAITS;
    pass_turn();
    result = atomic_load(word) == value ? ETIMEDOUT : 0;
    (void)pthread_mutex_unlock(&schedule.lock);
    return result;
}

void schedule_pass_time(void)
{
    _Atomic uint32_t never = 0;

    if (!schedule_is_task())
        return;
    if (chance_below(&schedule.chance, 3) == 0)
        schedule_yield();
    else
        (void)__wrap_syncq_futex_wait(
            &never, 0, (int64_t)chance_below(&schedule.chance, PASS_US_MAX));
}

/* Whoever waits sees by itself that the word has changed. */
void __wrap_syncq_futex_wake(_Atomic uint32_t *word)
{
    if (!schedule_is_task())
        __real_syncq_futex_wake(word);
    else
        schedule_yield();
}

uint64_t __wrap_syncq_clock_us(void)
{
    if (!schedule_is_task())
        return __real_syncq_clock_us();
    schedule_yield();
    return ++schedule.now_us;
}

int64_t __wrap_syncq_date_us(void)
{
    if (!schedule_is_task())
        return __real_syncq_date_us();
    return (int64_t)(UINT64_C(1700000000000000) + schedule.now_us);
}
