/* SPDX-License-Identifier: MIT */
#include "tests/writer_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/sync_control.h"

void writer_start(struct writer_process *writer, struct fixture *fixture,
                  void (*body)(struct syncq_queue *queue, int to,
                               void *context),
                  void *context)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    writer->pid = fork();
    assert_true(writer->pid >= 0);
    if (writer->pid == 0) {
        struct syncq_queue *queue;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_WRITE,
                             &queue) != 0)
            _exit(101);
        body(queue, ends[1], context);
        for (;;)
            (void)pause();
    }
    close(ends[1]);
    writer->from = ends[0];
}

void helper_process_start(struct writer_process *helper,
                          struct fixture *fixture, int hold)
{
    int ends[2];
    char byte = 'r';

    assert_int_equal(pipe(ends), 0);
    helper->pid = fork();
    assert_true(helper->pid >= 0);
    if (helper->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        fixture_start(fixture);
        if (hold) {
            sync_control_start_light(fixture);
            sync_hold();
        }
        if (write(ends[1], &byte, 1) != 1)
            _exit(101);
        for (;;)
            (void)pause();
    }
    close(ends[1]);
    helper->from = ends[0];
    writer_read(helper, &byte, 1);
}

void writer_read(struct writer_process *writer, void *bytes, size_t size)
{
    assert_int_equal(read(writer->from, bytes, size), size);
}

void writer_kill(struct writer_process *writer)
{
    int status;

    assert_int_equal(kill(writer->pid, SIGKILL), 0);
    assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
    assert_true(WIFSIGNALED(status));
    close(writer->from);
}
