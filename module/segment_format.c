/* SPDX-License-Identifier: MIT */
#include "module/segment_format.h"

void syncq_segment_page_seal(struct syncq_segment_page *page,
                             const struct syncq_key *key)
{
    page->magic = SYNCQ_SEGMENT_MAGIC;
    syncq_key_mac(key, page, offsetof(struct syncq_segment_page, mac),
                  page->mac);
}

int syncq_segment_page_valid(const struct syncq_segment_page *page,
                             const struct syncq_key *key, uint32_t number)
{
    return page->magic == SYNCQ_SEGMENT_MAGIC && page->number == number &&
           page->state >= SYNCQ_SEGMENT_FREE &&
           page->state <= SYNCQ_SEGMENT_EMPTYING &&
           syncq_key_verify(key, page, offsetof(struct syncq_segment_page, mac),
                            page->mac);
}
