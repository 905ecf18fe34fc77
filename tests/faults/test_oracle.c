/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tests/cmocka_all.h"
#include "tests/faults/oracle.h"

struct bench {
    struct fixture *fixture;
    struct oracle *oracle;
    struct findings findings;
    struct mail mail;
};

static int setup(void **state)
{
    static struct bench bench;

    memset(&bench, 0, sizeof bench);
    bench.fixture = fixture_new();
    bench.oracle = oracle_new();
    bench.findings.name = bench.findings.program = "test";
    fixture_start(bench.fixture);
    fixture_open(bench.fixture);
    mail_init(&bench.mail, 1, 3, 2, 5000);
    mail_store(bench.fixture->writer, &bench.mail);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    oracle_free(bench->oracle);
    fixture_free(bench->fixture);
    return 0;
}

/* What the oracle says of a recovered image. */
static unsigned check_with(struct bench *bench,
                           const struct oracle_excuse *excuse)
{
    struct fixture *image = fixture_image(bench->fixture);
    struct syncq_recovery_report report;
    struct syncq_recovered recovered;
    struct syncq_queue *queue;
    unsigned count;

    assert_result(fixture_recover(image, &report, &recovered), 0);
    queue = fixture_reader(image);
    memset(bench->findings.found, 0, sizeof bench->findings.found);
    count = oracle_check(bench->oracle, queue, excuse, &bench->findings, "x");
    syncq_queue_close(queue);
    fixture_free(image);
    return count;
}

static unsigned check(struct bench *bench)
{
    return check_with(bench, NULL);
}

static uint64_t found(const struct bench *bench, enum finding finding)
{
    return bench->findings.found[finding];
}

static void damage_content(struct bench *bench, uint64_t *offset)
{
    *offset = fixture_offset(bench->fixture->writer, bench->mail.lsn) + 3000;
    fixture_damage(bench->fixture, SYNCQ_DATA_FILE, *offset, 8);
}

static void test_oracle__confirmed_and_there__content(void **state)
{
    struct bench *bench = *state;

    oracle_say(bench->oracle, &bench->mail, ORACLE_SUBMITTED);
    assert_int_equal(check(bench), 0);
    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    assert_int_equal(check(bench), 0);
}

static void test_oracle__never_submitted__forged(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(check(bench), 2);
    assert_int_equal(found(bench, FINDING_FORGED), 2);
}

static void test_oracle__confirmed_and_not_there__lost(void **state)
{
    struct bench *bench = *state;
    struct mail gone;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    mail_init(&gone, 2, 1, 1, 100);
    oracle_say(bench->oracle, &gone, ORACLE_SUBMITTED);
    assert_int_equal(check(bench), 0);
    gone.sequence = bench->mail.sequence + 1;
    gone.lsn = bench->mail.lsn + 8192;
    oracle_say(bench->oracle, &gone, ORACLE_CONFIRMED);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_LOST), 1);
}

static void test_oracle__other_bytes__altered(void **state)
{
    struct bench *bench = *state;

    bench->mail.recipient_count++;
    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_ALTERED), 1);
}

static void test_oracle__unreadable__lost_unless_reported(void **state)
{
    struct bench *bench = *state;
    struct mail next;
    uint64_t offset;
    struct oracle_excuse excuse;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    /* Later records tell that the damaged place was durable. */
    fixture_until_durable(bench->fixture);
    mail_store_simple(bench->fixture->writer, &next, 2, 100);
    oracle_say(bench->oracle, &next, ORACLE_CONFIRMED);
    damage_content(bench, &offset);
    assert_true(check(bench) >= 1);
    assert_true(found(bench, FINDING_LOST) >= 1);
    excuse = (struct oracle_excuse){offset, offset + 8, 0};
    assert_true(check_with(bench, &excuse) >= 1);
    excuse.reported = 1;
    assert_int_equal(check_with(bench, &excuse), 0);
    excuse.damaged_from = excuse.damaged_to; /* another place */
    excuse.damaged_to += 1 << 20;
    excuse.damaged_from += 8192;
    assert_true(check_with(bench, &excuse) >= 1);
}

static void test_oracle__done_and_pending__resurrected(void **state)
{
    struct bench *bench = *state;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    oracle_say(bench->oracle, &bench->mail, ORACLE_DONE);
    assert_int_equal(check(bench), 0);
    oracle_say(bench->oracle, &bench->mail, ORACLE_DONE_DURABLE);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_RESURRECTED), 1);
    mail_mark(bench->fixture->writer, &bench->mail, 1, SYNCQ_STATUS_DONE, NULL);
    assert_int_equal(check(bench), 0);
}

static void test_oracle__done_without_a_word__lost(void **state)
{
    struct bench *bench = *state;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    mail_mark(bench->fixture->writer, &bench->mail, 1, SYNCQ_STATUS_DONE, NULL);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_LOST), 1);
}

static void test_oracle__held__stays_held(void **state)
{
    struct bench *bench = *state;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    mail_mark(bench->fixture->writer, &bench->mail, 1, SYNCQ_STATUS_HELD, NULL);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_STUCK), 1);
    oracle_say(bench->oracle, &bench->mail, ORACLE_HOLDING);
    assert_int_equal(check(bench), 0);
    oracle_say(bench->oracle, &bench->mail, ORACLE_HELD);
    assert_int_equal(check(bench), 0);
    mail_mark(bench->fixture->writer, &bench->mail, 1, SYNCQ_STATUS_READY,
              NULL);
    assert_int_equal(check(bench), 1);
    assert_int_equal(found(bench, FINDING_STUCK), 1);
}

static void test_oracle__copy__knows_what_was_said_before(void **state)
{
    struct bench *bench = *state;
    struct oracle *copy, *whole;
    struct mail other;

    oracle_say(bench->oracle, &bench->mail, ORACLE_CONFIRMED);
    copy = oracle_copy(bench->oracle);
    for (unsigned seed = 2; seed < 200; seed++) {
        mail_init(&other, seed, 1, 1, 10);
        other.sequence = seed;
        oracle_say(bench->oracle, &other, ORACLE_CONFIRMED);
    }
    assert_int_equal(check(bench), 198);
    whole = bench->oracle;
    bench->oracle = copy;
    assert_int_equal(check(bench), 0);
    oracle_free(whole);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_oracle__confirmed_and_there__content),
        TEST(test_oracle__never_submitted__forged),
        TEST(test_oracle__confirmed_and_not_there__lost),
        TEST(test_oracle__other_bytes__altered),
        TEST(test_oracle__unreadable__lost_unless_reported),
        TEST(test_oracle__done_and_pending__resurrected),
        TEST(test_oracle__done_without_a_word__lost),
        TEST(test_oracle__held__stays_held),
        TEST(test_oracle__copy__knows_what_was_said_before),
    };

    return cmocka_run_group_tests(tests, fixture_group_setup,
                                  fixture_group_teardown);
}
