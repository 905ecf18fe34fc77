/* SPDX-License-Identifier: MIT */
#include "tests/faults/wrap_model.h"

#include <string.h>

static int is_over(const struct model_mail *mail)
{
    return mail->gone &&
           (mail->state == MODEL_MARKED || mail->state == MODEL_CANCELLED);
}

struct model_mail *model_add(struct model *model, const struct mail *mail,
                             enum model_state state)
{
    struct model_mail *made;

    if (model->count == MODEL_MAILS_MAX) {
        unsigned kept = 0, over = 0;

        for (unsigned i = 0; i < model->count; i++)
            over += (unsigned)is_over(&model->mails[i]);
        over -= over / 2; /* the older half goes */
        for (unsigned i = 0; i < model->count; i++) {
            if (over > 0 && is_over(&model->mails[i]))
                over--;
            else
                model->mails[kept++] = model->mails[i];
        }
        if (kept == model->count)
            return NULL;
        model->count = kept;
    }
    made = &model->mails[model->count++];
    *made = (struct model_mail){.mail = *mail, .state = state};
    return made;
}

struct model_mail *model_pick(struct model *model, struct chance *chance)
{
    uint64_t start = model->count == 0 ? 0 : chance_below(chance, model->count);

    for (unsigned i = 0; i < model->count; i++) {
        struct model_mail *mail = &model->mails[(start + i) % model->count];

        if (mail->state == MODEL_LIVE && !mail->stuck)
            return mail;
    }
    return NULL;
}

struct oracle *model_oracle(const struct model *model)
{
    static const enum oracle_word words[] = {
        [MODEL_LIVE] = ORACLE_CONFIRMED,
        [MODEL_CANCELLED] = ORACLE_CANCELLED,
        [MODEL_DONE] = ORACLE_DONE,
        [MODEL_MARKED] = ORACLE_DONE_DURABLE,
    };
    struct oracle *oracle = oracle_new();

    for (unsigned i = 0; i < model->count; i++) {
        const struct model_mail *mail = &model->mails[i];

        oracle_say(oracle, &mail->mail, ORACLE_SUBMITTED);
        oracle_say(oracle, &mail->mail, words[mail->state]);
    }
    return oracle;
}

static void see_entry(struct model *model, const struct syncq_entry_view *view)
{
    int final = syncq_status_is_final(view->state.status);

    for (unsigned i = 0; i < model->count; i++) {
        struct model_mail *mail = &model->mails[i];

        if (mail->mail.sequence != view->sequence ||
            view->part >= mail->mail.part_count)
            continue;
        mail->mail.slots[view->part] = view->slot;
        mail->mail.lsn = view->state.lsn;
        mail->gone = 0;
        /* A manager that starts marks again what is done: marks.h. */
        mail->state = final ? MODEL_DONE : MODEL_LIVE;
        return;
    }
}

void model_refresh(struct model *model, struct syncq_queue *queue)
{
    for (unsigned i = 0; i < model->count; i++)
        model->mails[i].gone = 1;
    for (uint32_t slot = 0; slot < syncq_entry_count(queue); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(queue, slot, &view) == 0)
            see_entry(model, &view);
    }
    for (unsigned i = 0; i < model->count; i++)
        if (model->mails[i].gone && model->mails[i].state == MODEL_DONE)
            model->mails[i].state = MODEL_MARKED;
}

uint64_t model_lsn(const struct model_mail *mail, struct syncq_queue *queue)
{
    struct syncq_entry_view view;

    if (syncq_entry_read(queue, mail->mail.slots[0], &view) != 0 ||
        view.sequence != mail->mail.sequence)
        return 0;
    return view.state.lsn;
}
