/* SPDX-License-Identifier: MIT */
/*
 * index_extent.h - how long the index is, and its mapping (inside index.c)
 */
#ifndef SYNCQ_INDEX_EXTENT_H
#define SYNCQ_INDEX_EXTENT_H

#include "module/index.h"

/* Bytes of an index file with so many entries. */
uint64_t syncq_index_file_size(uint32_t entry_count);

uint64_t syncq_index_seed(const uint8_t uuid[SYNCQ_UUID_SIZE]);
uint64_t syncq_index_header_checksum(const struct syncq_index_header *header);

/* Reserve the address space and map the first map_size bytes.  errno. */
int syncq_index_map(struct syncq_index *index);
void syncq_index_unmap(struct syncq_index *index);

#endif
